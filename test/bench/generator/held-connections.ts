import type { Operations } from "./operations.ts";
import { EchoConnection, oneByte } from "./round-trip.ts";

/** Connections that stay open. */
export class HeldConnections {
  readonly #held: EchoConnection[] = [];

  /** See `hold` of {@link Operations}; rejects on the first connection that cannot be made. */
  async hold({ host, port, total }: Operations["hold"]["args"]): Promise<{ held: number }> {
    const worker = async (): Promise<void> => {
      while (this.#held.length < total) {
        const connection = EchoConnection.start({ host, port });
        this.#held.push(connection);
        await connection.roundTrip(oneByte, 30_000);
      }
    };
    await Promise.all(Array.from({ length: 32 }, worker));
    return { held: this.#held.length };
  }

  /** See `exchange` of {@link Operations}. */
  async exchange({ blockBytes, totalBytes }: Operations["exchange"]["args"]) {
    const block = Buffer.alloc(blockBytes, "x");
    const blocks = Math.ceil(totalBytes / blockBytes);
    const workers = Math.min(64, this.#held.length);
    let next = 0;
    // Worker i has the connections i, i + workers, i + 2 workers …: one connection carries one message at a time.
    const worker = async (first: number): Promise<void> => {
      for (let at = first; next < blocks; at += workers) {
        if (at >= this.#held.length) at = first;
        next += 1;
        await this.#held[at]?.roundTrip(block, 30_000);
      }
    };
    await Promise.all(Array.from({ length: workers }, (_, index) => worker(index)));
    return { bytes: next * blockBytes };
  }

  /** See `release` of {@link Operations}. */
  async release(): Promise<null> {
    const closed = this.#held.map(
      ({ socket }) =>
        new Promise<void>((resolve) => {
          if (socket.closed) resolve();
          else
            socket.once("close", () => {
              resolve();
            });
        }),
    );
    for (const connection of this.#held.splice(0)) connection.end();
    await Promise.all(closed);
    return null;
  }
}
