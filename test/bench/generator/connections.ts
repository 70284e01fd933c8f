import { systemClock } from "@culvert/runtime";
import type { ConnectResult, Operations } from "./operations.ts";
import { EchoConnection, latencies, oneByte } from "./round-trip.ts";

/** See `connections` of {@link Operations}. */
export async function connections(args: Operations["connections"]["args"]): Promise<ConnectResult> {
  const { host, port, parallel, seconds, count } = args;
  const samples: number[] = [];
  let started = 0;
  let failures = 0;
  const begin = systemClock.now();
  const deadline = begin + seconds * 1_000;
  const goesOn = (): boolean =>
    systemClock.now() < deadline && (count === undefined || started < count) && failures < 100;
  const worker = async (): Promise<void> => {
    while (goesOn()) {
      started += 1;
      const start = systemClock.now();
      const connection = EchoConnection.start({ host, port });
      try {
        await connection.roundTrip(oneByte, 10_000);
        samples.push(systemClock.now() - start);
      } catch {
        failures += 1;
      }
      connection.end();
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  const tookSeconds = (systemClock.now() - begin) / 1_000;
  if (samples.length === 0) throw new Error("no connection could be made");
  return { perSecond: samples.length / tookSeconds, firstByte: latencies(samples), failures };
}
