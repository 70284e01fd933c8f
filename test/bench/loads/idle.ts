import { millis, sleep, systemClock } from "@culvert/runtime";
import type { Load } from "./load.ts";

/** Many connections that are open and carry nothing: what each costs the relay in memory, and all of them in processor time. */
export const idleLoad: Load = {
  name: "idle",
  programs: [],
  fresh: true,
  rounds: (sizes) => Math.min(sizes.rounds, sizes.longRounds),
  // A start of its own, two rests, and connections opened at some 500 a second.
  typicalSeconds: ({ idleConnections, idleSeconds }) => idleSeconds + idleConnections / 500 + 4,
  fits: () => true,
  async measure(contender, { generator }, { idleConnections, idleSeconds }) {
    const entrance = contender.entrances.echo;
    // What a relay allocates once, for its first connections, is not a connection's cost.
    await generator.call("connections", { ...entrance, parallel: 8, seconds: 10, count: 200 });
    await settle();
    const before = contender.relayUse().rssBytes;
    try {
      await generator.call("hold", { ...entrance, total: idleConnections });
      await settle();
      const start = { at: systemClock.now(), ...contender.relayUse() };
      await sleep(systemClock, millis(idleSeconds * 1_000));
      const end = { at: systemClock.now(), ...contender.relayUse() };
      const seconds = (end.at - start.at) / 1_000;
      return {
        "idle-memory": (end.rssBytes - before) / 1_024 / idleConnections,
        "idle-cpu": ((end.cpuSeconds - start.cpuSeconds) / seconds) * 100,
      };
    } finally {
      await generator.call("release", null);
    }
  },
};

/** What opening or closing has left to do is not the idle cost. */
function settle(): Promise<void> {
  return sleep(systemClock, millis(1_000));
}
