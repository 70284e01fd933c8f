/** Tips written by hand, so that they may break every rule. Field numbers are those of PROTOCOL.md §3. */

/** A protobuf field of bytes or text. */
export function bytesField(number: number, value: Uint8Array | string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

/** A protobuf field that is a number. */
export function numberField(number: number, value: number): Buffer {
  return Buffer.concat([varint(number * 8), varint(value)]);
}

/** A varint of any size. */
export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  while (left > 0x7f) {
    bytes.push((left % 0x80) + 0x80);
    left = Math.floor(left / 0x80);
  }
  bytes.push(left);
  return Buffer.from(bytes);
}

/** The frame of a message (PROTOCOL.md §2.1). */
export function frame(message: Uint8Array, version = 1): Buffer {
  return Buffer.concat([Buffer.from([version]), varint(message.length), message]);
}

/** Parts of a Connect or Offer; what is absent is lawful. */
export interface RawRequest {
  readonly server?: string | Uint8Array;
  readonly target: string | Uint8Array;
  readonly traceId?: Uint8Array;
  readonly clientPort?: number;
  readonly inner?: Uint8Array;
}

/** A Connect (PROTOCOL.md §3.3) with its frame. */
export function rawConnect(parts: RawRequest): Buffer {
  const { server = "lan-box", target, traceId = new Uint8Array(16), clientPort = 1234 } = parts;
  const connect = Buffer.concat([
    bytesField(1, server),
    bytesField(2, target),
    bytesField(3, traceId),
    numberField(4, clientPort),
    bytesField(5, parts.inner ?? rawForward(target, clientPort)),
  ]);
  return frame(bytesField(3, connect));
}

/** An Offer (PROTOCOL.md §3.4) with its frame. */
export function rawOffer(parts: RawRequest & { readonly clientId: string }): Buffer {
  const { target, traceId = new Uint8Array(16), clientPort = 1234, clientId } = parts;
  const offer = Buffer.concat([
    bytesField(1, clientId),
    bytesField(2, "laptop"),
    bytesField(3, target),
    bytesField(4, traceId),
    numberField(5, clientPort),
    bytesField(6, parts.inner ?? rawForward(target, clientPort)),
  ]);
  return frame(bytesField(4, offer));
}

/** An Answer (PROTOCOL.md §3.5) with its frame. */
export function rawAnswer(status: number, text = ""): Buffer {
  return frame(bytesField(5, Buffer.concat([numberField(1, status), bytesField(2, text)])));
}

/** An AttachAnswer (PROTOCOL.md §3.2) with its frame. */
export function rawAttachAnswer(status: number, name = "lan-box"): Buffer {
  return frame(bytesField(2, Buffer.concat([numberField(1, status), bytesField(3, name)])));
}

/** A Forward (PROTOCOL.md §3.6), which has no frame. */
export function rawForward(target: string | Uint8Array, clientPort = 1234): Buffer {
  return Buffer.concat([numberField(1, clientPort), bytesField(2, target)]);
}
