import { PartialFailure, type Load } from "./load.ts";

/** The cost of one more connection while 10, 100, … others are open: latency, and CPU time of all processes together. */
export const openConnectionsLoad: Load = {
  name: "open",
  programs: [],
  fresh: true,
  rounds: (sizes) => Math.min(sizes.rounds, sizes.longRounds),
  // Each level's connections at some 500 a second, and one more at a time at up to 45 ms (ssh).
  typicalSeconds: ({ openLevels, openSamples }) =>
    4 + (openLevels.at(-1) ?? 0) / 500 + openLevels.length * openSamples * 0.03,
  fits: () => true,
  async measure(contender, { generator }, { openLevels: all, openSamples }) {
    const openLevels = all.filter((total) => total <= (contender.peer.mostOpen ?? Infinity));
    const entrance = contender.entrances.echo;
    const sample: Record<string, number> = {};
    // Compiled and warm before the first level, or that would look dear.
    await generator.call("connections", { ...entrance, parallel: 8, seconds: 10, count: 1_000 });
    try {
      for (const total of openLevels) {
        await generator.call("hold", { ...entrance, total });
        const before = cpuOf(contender.use());
        const more = await generator.call("connections", {
          ...entrance,
          parallel: 1,
          seconds: 20,
          count: openSamples,
        });
        const cpu = cpuOf(contender.use()) - before;
        sample[`open-p50@${total}`] = more.firstByte.p50;
        sample[`open-cpu@${total}`] = (cpu * 1_000) / more.firstByte.count;
      }
    } catch (error) {
      // How far it came is worth knowing.
      throw new PartialFailure(sample, error);
    } finally {
      await generator.call("release", null);
    }
    // Over fewer levels than others had, it would not be the same measure.
    if (openLevels.length < all.length) return sample;
    const [first, last] = [openLevels[0] ?? 0, openLevels.at(-1) ?? 0];
    sample["open-growth"] = (sample[`open-p50@${last}`] ?? 0) / (sample[`open-p50@${first}`] ?? 1);
    return sample;
  },
};

function cpuOf(use: Readonly<Record<string, { readonly cpuSeconds: number }>>): number {
  return Object.values(use).reduce((sum, each) => sum + each.cpuSeconds, 0);
}
