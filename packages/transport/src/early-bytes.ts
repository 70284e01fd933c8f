import type { ByteStream } from "@culvert/runtime";

/**
 * Passes on what comes of a connection before its answer is there (PROTOCOL.md §4.2), at most {@link maxEarlyBytes}; what there is
 * already, before this returns. The end is left to who reads next. Returns a function that stops it and tells how many bytes were passed
 * on; `from` is then without listeners of ours and not flowing.
 */
export function passEarlyBytes(from: ByteStream, to: ByteStream): () => number {
  let passed = 0;
  const stop = (): number => {
    from.off("readable", pass);
    return passed;
  };
  const pass = (): void => {
    const most = Math.min(from.readableLength, maxEarlyBytes - passed);
    if (most === 0 || to.destroyed) return;
    const chunk: unknown = from.read(most);
    if (!(chunk instanceof Uint8Array)) return;
    passed += chunk.length;
    to.write(chunk);
    if (passed === maxEarlyBytes) stop();
  };
  pass();
  if (passed < maxEarlyBytes) from.on("readable", pass);
  return stop;
}

/**
 * Waits until something has come, but no longer than one turn of the event loop takes: what P1 has said by then can go with the tip.
 * Never rejects.
 */
export function firstBytesOrTurn(from: ByteStream): Promise<void> {
  return new Promise((resolve) => {
    if (from.readableLength > 0 || from.destroyed) {
      resolve();
      return;
    }
    const done = (): void => {
      from.off("readable", done);
      clearImmediate(turn);
      resolve();
    };
    from.on("readable", done);
    // The first comes at the end of this turn, before the sockets are read again.
    let turn = setImmediate(() => {
      turn = setImmediate(done);
    });
  });
}

/** Bytes that are sent ahead of an answer: what most clients say before they listen, and little to lose in a refusal. */
export const maxEarlyBytes = 16 * 1024;
