import { dirname } from "node:path";
import type { RelayConfig } from "@culvert/config";
import { InternalError } from "@culvert/runtime";
import { CommandLinkMetrics, commandLinkObserver, CommandLinks } from "@culvert/transport";
import type { DaemonContext } from "../daemon/daemon.ts";
import { childEnvironment } from "./child-environment.ts";

/** The commands that lead a relay to peers, or undefined where the configuration has none. */
export function relayLinks(config: RelayConfig, context: DaemonContext): CommandLinks | undefined {
  const { links, peers, wss } = config;
  if (links.length === 0) return undefined;
  const { clock, random, log, registry, identity } = context;
  const ids = new Map(peers.map(({ name, id }) => [name, id]));
  return new CommandLinks(
    {
      clock,
      random,
      identity,
      settings: wss,
      folder: dirname(config.file),
      env: childEnvironment(process.env),
      observer: commandLinkObserver({ clock, log, metrics: new CommandLinkMetrics(registry) }),
    },
    links.map(({ name, command }) => {
      const peer = ids.get(name);
      if (peer === undefined) throw new InternalError("invariant", `no peer is named ${name}`);
      return { name, command, peer };
    }),
  );
}
