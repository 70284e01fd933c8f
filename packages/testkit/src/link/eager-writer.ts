import { createHash } from "node:crypto";
import type { Writable } from "node:stream";
import { millis, sleep, systemClock } from "@culvert/runtime";
import type { PayloadDigest } from "../payload.ts";

/** Writes as fast as it may until everything is written, and counts what was accepted. */
export class EagerWriter {
  /** Settles when all is written and FIN was queued. */
  readonly finished: Promise<PayloadDigest>;
  #acceptedBytes = 0;

  constructor(stream: Writable, bytes: number) {
    stream.on("error", () => undefined);
    this.finished = new Promise((resolve) => {
      const hash = createHash("sha256");
      let written = 0;
      const fill = (): void => {
        while (written < bytes) {
          const chunk = Buffer.alloc(chunkBytes, written / chunkBytes);
          written += chunk.length;
          hash.update(chunk);
          const counted = (error?: Error | null): void => {
            if (!error) this.#acceptedBytes += chunk.length;
          };
          if (!stream.write(chunk, counted)) {
            stream.once("drain", fill);
            return;
          }
        }
        stream.end();
        resolve({ bytes, sha256: hash.digest("hex") });
      };
      fill();
    });
  }

  /** Waits until nothing more is accepted, and returns how much was. */
  async untilHeld(): Promise<number> {
    let before;
    do {
      before = this.#acceptedBytes;
      await sleep(systemClock, millis(quietMs));
    } while (before !== this.#acceptedBytes);
    return before;
  }
}

const chunkBytes = 16 * 1024;
/** No byte for so long means that the writer is held; only a machine that stands still for as long could fool it. */
const quietMs = 300;
