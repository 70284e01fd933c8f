import { dirname } from "node:path";
import type { RelayConfig } from "@culvert/config";
import {
  CommandLinkMetrics,
  commandLinkObserver,
  CommandLinks,
  type CommandLinkOptions,
} from "@culvert/transport";
import type { DaemonContext } from "../daemon/daemon.ts";
import { childEnvironment } from "./child-environment.ts";

/** The commands that lead to peers; they are run in the folder of the configuration. */
export function commandLinks(
  { file, wss }: Pick<RelayConfig, "file" | "wss">,
  { clock, random, log, registry, identity }: DaemonContext,
  links: readonly CommandLinkOptions[],
): CommandLinks {
  return new CommandLinks(
    {
      clock,
      random,
      identity,
      settings: wss,
      folder: dirname(file),
      env: childEnvironment(process.env),
      observer: commandLinkObserver({ clock, log, metrics: new CommandLinkMetrics(registry) }),
    },
    links,
  );
}
