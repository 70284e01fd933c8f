import { millis, type Millis } from "@culvert/runtime";
import type { EngineDeps, QuicEngine } from "../engine.ts";
import { MemoryEngine, type MemoryFabric } from "./memory-engine.ts";
import type { MemoryHost } from "./memory-host.ts";
import type { MemoryListener, MemoryLink } from "./memory-listener.ts";
import { MemoryPipe } from "./memory-pipe.ts";

/** A network inside this process. Its engines see each other, and nobody else; ports are numbers, hosts are not looked at. */
export interface MemoryNetwork {
  /** An engine on this network, standing for one more process. */
  createEngine(): MemoryQuicEngine;
}

/** A {@link QuicEngine} whose process and links can be made to fail. */
export interface MemoryQuicEngine extends QuicEngine {
  readonly name: "memory";
  /** Stops the process, as SIGSTOP does: it answers nothing, so its peers time out, until {@link thaw}. */
  freeze(): void;
  /** Lets it go on, as SIGCONT does. */
  thaw(): void;
  /** Ends the process, as SIGKILL does: its ports are free, its own ends close, its peers hear nothing more. */
  kill(): void;
  /** Fails the path under every connection of this engine: both ends close at once, by `network`. */
  cut(): void;
}

/** How a memory network behaves. */
export interface MemoryNetworkOptions {
  /** One-way travel time; 0 by default, which is the next turn of the event loop. */
  readonly latency?: Millis;
}

/** Makes a network for tests. Frames travel at the next turn of the event loop, or `latency` later by the clock of `deps`. */
export function createMemoryNetwork(
  deps: Pick<EngineDeps, "clock">,
  options: MemoryNetworkOptions = {},
): MemoryNetwork {
  const latency = options.latency ?? millis(0);
  const ports = new Map<number, MemoryListener>();
  let ephemeral = firstEphemeralPort;
  const takeEphemeral = (): number => {
    do {
      ephemeral = ephemeral === 65_535 ? firstEphemeralPort : ephemeral + 1;
    } while (ports.has(ephemeral));
    return ephemeral;
  };
  const fabric: MemoryFabric = {
    clock: deps.clock,
    bind(port, create) {
      if (ports.has(port)) return undefined;
      const taken = port === 0 ? takeEphemeral() : port;
      const listener = create(taken);
      ports.set(taken, listener);
      return listener;
    },
    unbind: (port) => ports.delete(port),
    connect(from, port): MemoryLink {
      const listener = ports.get(port);
      const to: MemoryHost = listener?.host ?? from;
      const outbound = new MemoryPipe(deps.clock, from, to, latency);
      const inbound = new MemoryPipe(deps.clock, to, from, latency);
      const remote = { host: "127.0.0.1", port: takeEphemeral() };
      listener?.attach({ outbound: inbound, inbound: outbound, remote });
      const host = listener?.address.host ?? "127.0.0.1";
      return { outbound, inbound, remote: { host, port } };
    },
  };
  return { createEngine: () => new MemoryEngine(fabric) };
}

const firstEphemeralPort = 49_152;
