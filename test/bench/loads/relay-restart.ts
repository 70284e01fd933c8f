import { systemClock } from "@culvert/runtime";
import { waitUntil } from "../../support/wait.ts";
import type { Contender, Surroundings } from "../contender.ts";
import type { Load } from "./load.ts";

/**
 * The relay is ended and started at once: the time from its start to the first connection that carries a byte, once after SIGTERM
 * (as a service manager restarts) and once after SIGKILL (as a crash).
 */
export const relayRestartLoad: Load = {
  name: "restart",
  programs: [],
  fresh: false,
  rounds: (sizes) => sizes.rounds,
  typicalSeconds: () => 3,
  fits: (contender) => contender.comesBack,
  async measure(contender, surroundings) {
    return {
      restart: await outage(contender, surroundings, "SIGTERM"),
      crash: await outage(contender, surroundings, "SIGKILL"),
    };
  },
};

async function outage(
  contender: Contender,
  { generator }: Surroundings,
  signal: NodeJS.Signals,
): Promise<number> {
  await contender.restartRelay(signal);
  const start = systemClock.now();
  const probe = { ...contender.entrances.echo, withinMs: 500 };
  await waitUntil(
    `a connection after the restart of ${contender.peer.name}'s relay`,
    async () => {
      await generator.call("probe", probe);
      return true;
    },
    { withinMs: 60_000, everyMs: 10 },
  );
  return systemClock.now() - start;
}
