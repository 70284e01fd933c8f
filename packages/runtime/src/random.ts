import { randomBytes, randomFillSync } from "node:crypto";

/** The only source of randomness. Cryptographic in daemons, seeded in tests. */
export interface Random {
  /** `length` fresh bytes, owned by the caller. */
  bytes(length: number): Uint8Array;
  /** A number in [0, 1). */
  fraction(): number;
}

/** Gives out a pool of the system's bytes piece by piece: asking the generator for a few is as dear as for many. */
class PooledRandom implements Random {
  readonly #pool = new Uint8Array(poolBytes);
  #given = poolBytes;

  bytes(length: number): Uint8Array {
    if (length > mostFromPool) return new Uint8Array(randomBytes(length));
    if (poolBytes - this.#given < length) {
      randomFillSync(this.#pool);
      this.#given = 0;
    }
    const end = this.#given + length;
    const bytes = this.#pool.slice(this.#given, end);
    // Nobody is to find here what somebody was given.
    this.#pool.fill(0, this.#given, end);
    this.#given = end;
    return bytes;
  }

  fraction(): number {
    return Buffer.from(this.bytes(6)).readUIntBE(0, 6) / 2 ** 48;
  }
}

const poolBytes = 4_096;
const mostFromPool = 64;

/** The operating system's generator. */
export const systemRandom: Random = new PooledRandom();
