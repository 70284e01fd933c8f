import type { Random } from "@culvert/runtime";

/** A {@link Random} that gives the same numbers for the same seed. Good for tests, useless for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  // A 32-bit mixer over a Weyl sequence: short, and even enough for jitter, payloads and choices.
  const next = (): number => {
    state = (state + 0x9e37_79b9) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
    return (mixed ^ (mixed >>> 16)) >>> 0;
  };
  return {
    bytes(length) {
      const words = new Uint32Array(Math.ceil(length / 4));
      for (let index = 0; index < words.length; index += 1) words[index] = next();
      return new Uint8Array(words.buffer, 0, length).slice();
    },
    fraction: () => next() / 2 ** 32,
  };
}
