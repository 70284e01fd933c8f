import {
  formatMillis,
  TransportError,
  WireError,
  type ByteStream,
  type Clock,
  type Millis,
} from "@culvert/runtime";
import { encodeTip, TipDecoder, type Tip } from "@culvert/wire";

/** How long to wait for a tip. */
export interface ReadTipOptions {
  readonly clock: Clock;
  /** The whole tip must have arrived this long after the call. */
  readonly deadline: Millis;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads the one tip a stream begins with (PROTOCOL.md §2) and takes no byte more: what follows the tip, and a FIN that came with
 * it, is still there for the next reader. The stream is left without listeners of ours and not flowing. It stays the caller's,
 * also after a failure, when part of a tip is gone and only destroying or answering it makes sense; the caller keeps an error
 * listener of its own, since the peer may reset the stream at any moment.
 * @throws WireError of the decoder, or `truncated` where FIN comes before the tip is complete; TransportError `timeout`,
 * `aborted`, or `stream_reset` where the stream was closed without an error; else the error the stream was destroyed with.
 */
export function readTip(stream: ByteStream, options: ReadTipOptions): Promise<Tip> {
  const { clock, deadline, signal } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(abortedBy(signal));
      return;
    }
    const decoder = new TipDecoder();
    let settled = false;
    let armed = false;
    const leave = (): void => {
      settled = true;
      timer.cancel();
      stream.off("readable", onReadable);
      stream.off("end", onEnd);
      stream.off("error", fail);
      stream.off("close", onClose);
      signal?.removeEventListener("abort", onAbort);
    };
    const fail = (error: unknown): void => {
      if (settled) return;
      leave();
      reject(error instanceof Error ? error : new Error(String(error)));
    };
    const onReadable = (): void => {
      if (!armed || settled) return;
      try {
        const tip = readFrom(stream, decoder);
        if (tip === undefined) return;
        leave();
        resolve(tip);
      } catch (error) {
        fail(error);
      }
    };
    const onEnd = (): void => {
      fail(new WireError("truncated", "the stream ended before its tip was complete"));
    };
    const onClose = (): void => {
      fail(stream.errored ?? new TransportError("stream_reset", "the stream closed before a tip"));
    };
    const onAbort = (): void => fail(abortedBy(signal));
    const timer = clock.setTimer(deadline, () => {
      const limit = formatMillis(deadline);
      fail(new TransportError("timeout", `waiting for a tip: no result within ${limit}`));
    });
    signal?.addEventListener("abort", onAbort, { once: true });
    stream.on("error", fail);
    stream.on("close", onClose);
    stream.on("end", onEnd);
    stream.on("readable", onReadable);
    if (stream.closed) onClose();
    else if (stream.readableEnded) onEnd();
    // Listening to `readable` makes the stream call read(0) in the next tick, and a read(0) that finds a stream with its FIN and
    // nothing else emits `end`. So the tip is not taken before that has passed, lest whoever reads next miss the end.
    // What is there already may have been announced to an earlier reader and is not announced again: hence the call.
    process.nextTick(() => {
      armed = true;
      onReadable();
    });
  });
}

function abortedBy(signal: AbortSignal | undefined): TransportError {
  const cause: unknown = signal?.reason;
  return new TransportError("aborted", "waiting for a tip: aborted", { cause });
}

/**
 * Writes a tip. Its bytes are few, so the stream's own buffer takes them whatever its back-pressure says.
 * @throws InternalError `invariant` or WireError `frame_too_large`, before a byte is written, where the tip may not be sent.
 */
export function writeTip(stream: ByteStream, tip: Tip): void {
  stream.write(encodeTip(tip));
}

/**
 * Reads no further than the tip's last byte, and never asks an ended stream for more than it holds unless more is needed: a
 * read past its end makes the stream emit `end`, which whoever reads next would miss.
 */
function readFrom(stream: ByteStream, decoder: TipDecoder): Tip | undefined {
  for (;;) {
    // Asking for more than the high-water mark would raise it for good.
    const most = Math.min(stream.readableLength, Math.max(1, stream.readableHighWaterMark));
    const wanted = Math.min(decoder.missingBytes, most);
    const chunk: unknown = stream.read(wanted);
    if (!(chunk instanceof Uint8Array)) return undefined;
    const decoded = decoder.push(chunk);
    if (decoded !== undefined) return decoded.tip;
  }
}
