import type { Random } from "@culvert/runtime";

/** Chooses the local port of a connection (RFC 6056 §3.3.1): the first free one from a random place on. */
export function chooseEphemeralPort(
  random: Random,
  isFree: (port: number) => boolean,
): number | undefined {
  const first = Math.floor(random.fraction() * portCount);
  for (let step = 0; step < portCount; step += 1) {
    const port = firstPort + ((first + step) % portCount);
    if (isFree(port)) return port;
  }
  return undefined;
}

/** The range that NoRouter's own agents take: 16,000 to 65,535. */
const firstPort = 16_000;
const portCount = 65_536 - firstPort;
