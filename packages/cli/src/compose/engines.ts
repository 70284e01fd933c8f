import { createEngines, type Engines } from "@culvert/transport";
import type { DaemonContext } from "../daemon/daemon.ts";

/** The QUIC engines of a process, whose warnings go to its log. */
export function daemonEngines({ clock, random, log }: DaemonContext): Engines {
  return createEngines({
    clock,
    random,
    warn: ({ code, text, data }) => log.warn("quic.warning", { code, text, ...data }),
  });
}
