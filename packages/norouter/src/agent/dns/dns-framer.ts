/**
 * Cuts a TCP stream into DNS messages, each with its length before it in two bytes (RFC 1035 §4.2.2). Holds one incomplete message,
 * which is at most 65,535 bytes.
 */
export class DnsFramer {
  #held = new Uint8Array(0);

  /** Takes a chunk; returns copies of the messages it completes. */
  push(chunk: Uint8Array): Uint8Array[] {
    const bytes = new Uint8Array(this.#held.length + chunk.length);
    bytes.set(this.#held);
    bytes.set(chunk, this.#held.length);
    const messages: Uint8Array[] = [];
    let at = 0;
    for (;;) {
      const [high, low] = bytes.subarray(at, at + 2);
      if (high === undefined || low === undefined) break;
      const end = at + 2 + high * 256 + low;
      if (end > bytes.length) break;
      messages.push(bytes.slice(at + 2, end));
      at = end;
    }
    this.#held = bytes.slice(at);
    return messages;
  }
}

/** A message with its length before it. */
export function framedDns(message: Uint8Array): Uint8Array {
  const framed = new Uint8Array(2 + message.length);
  framed[0] = message.length >>> 8;
  framed[1] = message.length;
  framed.set(message, 2);
  return framed;
}
