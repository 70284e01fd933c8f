import { createHash } from "node:crypto";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { seededRandom } from "./seeded-random.ts";

/** What was written or read: how much, and its SHA-256 in hex. */
export interface PayloadDigest {
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * Writes `bytes` pseudo-random bytes that follow from `seed`, with back-pressure, and then FIN. Each chunk is overwritten once
 * its write is acknowledged, so that a stream which keeps what it no longer owns is found out.
 * @throws Error if the stream closes or fails before it has taken everything.
 */
export async function writePayload(
  stream: Writable,
  bytes: number,
  seed: number,
): Promise<PayloadDigest> {
  const hash = createHash("sha256");
  const pattern = seededRandom(seed).bytes(Math.min(bytes, patternBytes));
  for (let offset = 0, turn = 0; offset < bytes; turn += 1) {
    const chunk = Buffer.from(pattern.subarray(0, Math.min(pattern.length, bytes - offset)));
    // No two chunks are alike, so that a lost or swapped one changes the hash.
    if (chunk.length >= 4) chunk.writeUInt32LE(turn);
    hash.update(chunk);
    offset += chunk.length;
    const room = stream.write(chunk, (error) => {
      if (!error) chunk.fill(0xee);
    });
    if (!room) await drained(stream);
  }
  stream.end();
  return { bytes, sha256: hash.digest("hex") };
}

/**
 * Reads to the end.
 * @throws Error if the stream fails, or closes without having ended.
 */
export function readPayload(stream: Readable): Promise<PayloadDigest> {
  return new Promise((resolve, reject) => {
    const hash = createHash("sha256");
    let bytes = 0;
    stream.on("data", (chunk: Uint8Array) => {
      bytes += chunk.length;
      hash.update(chunk);
    });
    stream.once("end", () => resolve({ bytes, sha256: hash.digest("hex") }));
    stream.once("error", reject);
    stream.once("close", () => reject(new Error(`closed without an end, after ${bytes} bytes`)));
    if (stream.destroyed) reject(stream.errored ?? new Error("already destroyed"));
  });
}

/**
 * Reads exactly `count` bytes and leaves the rest in the stream.
 * @throws Error if the stream ends, fails or closes before.
 */
export function readBytes(stream: Readable, count: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let got = Buffer.alloc(0);
    const finish = (settle: () => void): void => {
      stream.off("readable", onReadable);
      stream.off("end", onEnd);
      stream.off("close", onEnd);
      stream.off("error", onError);
      settle();
    };
    const onReadable = (): void => {
      while (got.length < count) {
        const chunk = stream.read() as Buffer | null;
        if (chunk === null) return;
        got = Buffer.concat([got, chunk]);
      }
      const rest = got.subarray(count);
      finish(() => {
        if (rest.length > 0) stream.unshift(rest);
        resolve(got.subarray(0, count));
      });
    };
    const onEnd = (): void =>
      finish(() => reject(new Error(`ended after ${got.length} of ${count} bytes`)));
    const onError = (error: Error): void => finish(() => reject(error));
    stream.on("readable", onReadable);
    stream.once("end", onEnd);
    stream.once("close", onEnd);
    stream.once("error", onError);
    if (stream.destroyed) onError(stream.errored ?? new Error("already destroyed"));
    else onReadable();
  });
}

/** Resolves when the stream has room again. @throws Error if it closes or fails instead. */
export async function drained(stream: Writable): Promise<void> {
  if (!stream.writableNeedDrain && !stream.destroyed) return;
  const cancel = new AbortController();
  try {
    if (stream.destroyed) throw stream.errored ?? new Error("closed while being written");
    await Promise.race([
      once(stream, "drain", { signal: cancel.signal }),
      once(stream, "close", { signal: cancel.signal }).then(() => {
        throw stream.errored ?? new Error("closed while being written");
      }),
    ]);
  } finally {
    cancel.abort();
  }
}

const patternBytes = 64 * 1024;
