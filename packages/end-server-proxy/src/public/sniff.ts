import {
  TransportError,
  withDeadline,
  type ByteStream,
  type Clock,
  type Millis,
} from "@culvert/runtime";

/** What the first bytes of a connection look like. */
export type FirstBytes = "ssh" | "http" | "tls" | "other";

/** How long to wait for first bytes. */
export interface SniffOptions {
  readonly clock: Clock;
  readonly patience: Millis;
  readonly signal: AbortSignal;
}

/**
 * Looks at the first bytes of a stream and puts them back. Undefined where none came in time, as with protocols in which the
 * server speaks first. The stream is left without listeners of ours and not flowing.
 * @throws TransportError `stream_reset` where the stream closed; `aborted`.
 */
export async function sniff(
  stream: ByteStream,
  { clock, patience, signal }: SniffOptions,
): Promise<FirstBytes | undefined> {
  try {
    return await withDeadline(
      { clock, limit: patience, what: "waiting for first bytes", signal },
      (ended) => firstBytes(stream, ended),
    );
  } catch (error) {
    if (error instanceof TransportError && error.code === "timeout") return undefined;
    throw error;
  }
}

/**
 * Judges what there is; undefined where more bytes are needed. Pure. A request is whatever any web server might take for one, so
 * that none passes unread: behind empty lines (RFC 9112 §2.2) and spaces, with any method (RFC 9110 §5.6.2) before any space.
 */
export function classify(bytes: Uint8Array, ended: boolean): FirstBytes | undefined {
  if (bytes[0] === handshakeRecord) return "tls";
  const text = Buffer.from(bytes).toString("latin1");
  if (text.startsWith(sshBanner)) return "ssh";
  if (sshBanner.startsWith(text) && !ended) return undefined;
  return mayBeRequest(bytes) ? "http" : "other";
}

/** A line of one word is none: its carriage return is followed by a line feed. */
function mayBeRequest(bytes: Uint8Array): boolean {
  const at = bytes.findIndex((byte) => !tokenBytes.has(byte));
  if (at === -1) return bytes.length > 0;
  const isLineEnd = bytes[at] === 0x0a || (bytes[at] === 0x0d && bytes[at + 1] === 0x0a);
  return spaces.has(bytes[at] ?? 0) && (at === 0 || !isLineEnd);
}

function firstBytes(stream: ByteStream, waitEnded: AbortSignal): Promise<FirstBytes> {
  return new Promise((resolve, reject) => {
    let armed = false;
    let seen = 0;
    const leave = (): void => {
      stream.off("readable", look);
      stream.off("end", onEnd);
      stream.off("error", onError);
      stream.off("close", onClose);
      waitEnded.removeEventListener("abort", leave);
    };
    const look = (): void => {
      if (!armed) return;
      const length = Math.min(stream.readableLength, sshBanner.length);
      // Putting bytes back announces them again.
      if (length <= seen) return;
      seen = length;
      const bytes: unknown = stream.read(length);
      if (!(bytes instanceof Uint8Array)) return;
      stream.unshift(bytes);
      const found = classify(bytes, false);
      if (found === undefined) return;
      leave();
      resolve(found);
    };
    const onEnd = (): void => {
      leave();
      resolve("other");
    };
    const onError = (error: Error): void => {
      leave();
      reject(error);
    };
    const onClose = (): void => {
      onError(stream.errored ?? new TransportError("stream_reset", "the client left"));
    };
    waitEnded.addEventListener("abort", leave);
    stream.on("error", onError);
    stream.on("close", onClose);
    stream.on("end", onEnd);
    stream.on("readable", look);
    if (stream.closed) onClose();
    else if (stream.readableEnded) onEnd();
    // As in readTip: not before the read(0) that listening to `readable` provokes has passed.
    process.nextTick(() => {
      armed = true;
      look();
    });
  });
}

/** RFC 9110 §5.6.2. */
const tokenBytes = new Set(
  Buffer.from("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
);
/** RFC 9112 §3, and what besides is a space to Python's `split`, by which its servers take a request line apart. */
const spaces = new Set([
  ...[0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x20],
  ...[0x1c, 0x1d, 0x1e, 0x1f, 0x85, 0xa0],
]);
/** RFC 4253 §4.2. */
const sshBanner = "SSH-2.0-";
/** First byte of a TLS handshake record (RFC 8446 §5.1). */
const handshakeRecord = 0x16;
