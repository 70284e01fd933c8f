import { systemClock } from "@culvert/runtime";
import type { Latencies, Operations } from "./operations.ts";
import { EchoConnection, latencies } from "./round-trip.ts";

/** See `echo` of {@link Operations}. */
export async function echo(args: Operations["echo"]["args"]): Promise<Latencies> {
  const { host, port, bytes, seconds, skipSeconds = 0 } = args;
  const message = Buffer.alloc(bytes, "x");
  const connection = EchoConnection.start({ host, port });
  const samples: number[] = [];
  try {
    await connection.roundTrip(message, 10_000);
    const from = systemClock.now() + skipSeconds * 1_000;
    const until = from + seconds * 1_000;
    for (let start = systemClock.now(); start < until;) {
      await connection.roundTrip(message, 10_000);
      const end = systemClock.now();
      if (start >= from) samples.push(end - start);
      start = end;
    }
  } finally {
    connection.end();
  }
  return latencies(samples);
}
