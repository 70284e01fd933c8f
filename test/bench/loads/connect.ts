import type { Load } from "./load.ts";

/** New connections, each closed once a byte has come back: one at a time for the latency, 16 at a time for the rate. */
export const connectLoad: Load = {
  name: "connect",
  programs: [],
  fresh: false,
  rounds: (sizes) => sizes.rounds,
  typicalSeconds: ({ connectSeconds }) => 1.5 * connectSeconds + 0.2,
  fits: () => true,
  async measure(contender, { generator }, { connectSeconds: seconds }) {
    const entrance = contender.entrances.echo;
    const alone = await generator.call("connections", {
      ...entrance,
      parallel: 1,
      seconds: seconds / 2,
    });
    const before = total(contender.use());
    const busy = await generator.call("connections", { ...entrance, parallel: 16, seconds });
    const cpu = total(contender.use()) - before;
    if (busy.failures + alone.failures > 0) {
      throw new Error(`${busy.failures + alone.failures} connections failed`);
    }
    return {
      "connect-rate": busy.perSecond,
      "connect-p50": alone.firstByte.p50,
      "connect-p99": alone.firstByte.p99,
      "connect-busy-p50": busy.firstByte.p50,
      "connect-busy-p99": busy.firstByte.p99,
      "connect-cpu": (cpu * 1_000) / busy.firstByte.count,
    };
  },
};

function total(use: Readonly<Record<string, { readonly cpuSeconds: number }>>): number {
  return Object.values(use).reduce((sum, each) => sum + each.cpuSeconds, 0);
}
