import type { RelayConfig } from "@culvert/config";
import { InternalError } from "@culvert/runtime";
import type { CommandLinks } from "@culvert/transport";
import type { DaemonContext } from "../daemon/daemon.ts";
import { commandLinks } from "./command-links.ts";

/** The commands that lead a relay to peers, or undefined where the configuration has none. */
export function relayLinks(config: RelayConfig, context: DaemonContext): CommandLinks | undefined {
  const { links, peers } = config;
  if (links.length === 0) return undefined;
  const ids = new Map(peers.map(({ name, id }) => [name, id]));
  return commandLinks(
    config,
    context,
    links.map(({ name, command }) => {
      const peer = ids.get(name);
      if (peer === undefined) throw new InternalError("invariant", `no peer is named ${name}`);
      return { name, command, peer };
    }),
  );
}
