import { isSharingNoMemory, type ByteStream } from "./byte-stream.ts";
import { releaseBuffer } from "./release-buffer.ts";

/** What passed through a splice, and how it ended. */
export interface SpliceResult {
  /** Bytes read from `left` and accepted by `right`. */
  readonly leftToRightBytes: number;
  readonly rightToLeftBytes: number;
  /** The first failure and the side it came from; undefined where both directions ended with FIN. */
  readonly failure: { readonly side: "left" | "right"; readonly error: Error } | undefined;
}

/** Counters of a running splice; read them at any time. */
export interface SpliceProgress {
  leftToRightBytes: number;
  rightToLeftBytes: number;
}

/**
 * Copies between two streams until both directions have ended: FIN becomes FIN (half-close), back-pressure is passed on, and
 * the first failure of either side destroys both, so that the other end sees a reset and not an end.
 * Takes ownership of both streams, in whatever state they are: paused, half-closed, failed or closed. Never rejects; resolves
 * when both are closed. Bytes already buffered in the streams are carried over.
 */
export function splice(
  left: ByteStream,
  right: ByteStream,
  progress: SpliceProgress = { leftToRightBytes: 0, rightToLeftBytes: 0 },
): Promise<SpliceResult> {
  return new Promise((resolve) => {
    let failure: SpliceResult["failure"];
    let closed = 0;
    const fail = (side: "left" | "right", error: Error): void => {
      failure ??= { side, error };
      left.destroy(error);
      right.destroy(error);
    };
    const watch = (side: "left" | "right", stream: ByteStream): void => {
      stream.on("error", (error) => fail(side, error));
      const onClose = (): void => {
        if (!stream.readableEnded || !stream.writableFinished) {
          fail(side, stream.errored ?? new Error("closed before its end"));
        }
        closed += 1;
        if (closed < 2) return;
        stopLeftToRight();
        stopRightToLeft();
        resolve({ ...progress, failure });
      };
      if (stream.closed) process.nextTick(onClose);
      else stream.once("close", onClose);
    };
    const stopLeftToRight = copy(left, right, (bytes) => (progress.leftToRightBytes += bytes));
    const stopRightToLeft = copy(right, left, (bytes) => (progress.rightToLeftBytes += bytes));
    watch("left", left);
    watch("right", right);
  });
}

/** Starts copying one direction. Returns a function that takes the listeners away. */
function copy(from: ByteStream, to: ByteStream, count: (bytes: number) => void): () => void {
  const releases = isSharingNoMemory(from) && isSharingNoMemory(to);
  const write = (chunk: Uint8Array): boolean => {
    if (!releases || chunk.length < worthReleasing) return to.write(chunk);
    return to.write(chunk, (error) => {
      if (error == null) releaseBuffer(chunk);
    });
  };
  const onData = (chunk: Uint8Array): void => {
    if (to.destroyed) return;
    count(chunk.length);
    if (!write(chunk)) from.pause();
  };
  const onDrain = (): void => void from.resume();
  const onEnd = (): void => void to.end();
  from.on("data", onData);
  to.on("drain", onDrain);
  // A stream that ended before says so no more.
  if (from.readableEnded) onEnd();
  else from.once("end", onEnd);
  // A stream that was paused by hand does not start by itself.
  if (to.writableNeedDrain) from.pause();
  else from.resume();
  return () => {
    from.off("data", onData);
    from.off("end", onEnd);
    to.off("drain", onDrain);
  };
}

/** Chunks from this size on, bytes: smaller ones mostly share a pool, and are no burden. */
const worthReleasing = 8 * 1024;
