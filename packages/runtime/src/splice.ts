import type { ByteStream } from "./byte-stream.ts";

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
 * the first failure of either side destroys both, so that the other end sees a reset and not an end. Takes ownership of both
 * streams. Never rejects. Bytes already buffered in the streams are carried over.
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
      if (failure !== undefined) return;
      failure = { side, error };
      const other = side === "left" ? right : left;
      other.destroy(error);
    };
    const watch = (side: "left" | "right", stream: ByteStream): void => {
      stream.on("error", (error) => fail(side, error));
      const onClose = (): void => {
        if (!stream.readableEnded || !stream.writableFinished) {
          fail(side, stream.errored ?? new Error("closed before its end"));
        }
        closed += 1;
        if (closed === 2) resolve({ ...progress, failure });
      };
      if (stream.closed) onClose();
      else stream.once("close", onClose);
    };
    watch("left", left);
    watch("right", right);
    copy(left, right, (bytes) => (progress.leftToRightBytes += bytes));
    copy(right, left, (bytes) => (progress.rightToLeftBytes += bytes));
  });
}

function copy(from: ByteStream, to: ByteStream, count: (bytes: number) => void): void {
  from.on("data", (chunk: Uint8Array) => {
    count(chunk.length);
    if (!to.write(chunk)) from.pause();
  });
  to.on("drain", () => from.resume());
  from.once("end", () => to.end());
}
