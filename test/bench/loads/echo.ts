import { bulkTransfer } from "./bulk.ts";
import type { Load } from "./load.ts";

/** 64 bytes there and back on one connection, nothing else going on. */
export const echoLoad: Load = {
  name: "echo",
  programs: [],
  fresh: false,
  rounds: (sizes) => sizes.rounds,
  typicalSeconds: ({ echoSeconds }) => echoSeconds + 0.2,
  fits: () => true,
  async measure(contender, { generator }, { echoSeconds: seconds }) {
    const result = await generator.call("echo", {
      ...contender.entrances.echo,
      bytes: messageBytes,
      seconds,
    });
    return { "echo-p50": result.p50, "echo-p99": result.p99 };
  },
};

/** The same while iperf3 sends as fast as it can on another connection. */
export const echoUnderBulkLoad: Load = {
  name: "echo-bulk",
  programs: ["iperf3"],
  fresh: false,
  rounds: (sizes) => sizes.rounds,
  typicalSeconds: ({ echoSeconds }) => Math.max(1, Math.round(echoSeconds)) + 1.7,
  fits: () => true,
  async measure(contender, surroundings, { echoSeconds }) {
    const seconds = Math.max(1, Math.round(echoSeconds));
    const [bulk, echo] = await Promise.all([
      bulkTransfer(contender, surroundings, {
        streams: 1,
        direction: "up",
        seconds: seconds + 1,
      }),
      surroundings.generator.call("echo", {
        ...contender.entrances.echo,
        bytes: messageBytes,
        seconds: seconds - 0.3,
        // iperf3 takes a moment to start.
        skipSeconds: 0.7,
      }),
    ]);
    return {
      "echo-bulk-p50": echo.p50,
      "echo-bulk-p99": echo.p99,
      "echo-bulk-mib": bulk.mibPerSecond,
    };
  },
};

/** Like a key press and its echo in a terminal. */
const messageBytes = 64;
