import type { Ipv4Address } from "../packet/index.ts";
import type { TcpEngine } from "../tcp/tcp-engine.ts";
import type { HostedConnection, TcpTuple } from "../tcp/tcp-host.ts";

/** The connections of a stack by both their ends. */
export class ConnectionTable {
  /** Remote endpoint, then local endpoint, each as one number. */
  readonly #byRemote = new Map<number, Map<number, TcpEngine>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  find(
    localAddress: Ipv4Address,
    localPort: number,
    remoteAddress: Ipv4Address,
    remotePort: number,
  ): TcpEngine | undefined {
    return this.#byRemote
      .get(endpointKey(remoteAddress, remotePort))
      ?.get(endpointKey(localAddress, localPort));
  }

  add(engine: TcpEngine): void {
    const { remote, local } = keysOf(engine.tuple);
    let byLocal = this.#byRemote.get(remote);
    if (byLocal === undefined) {
      byLocal = new Map();
      this.#byRemote.set(remote, byLocal);
    }
    if (!byLocal.has(local)) this.#size += 1;
    byLocal.set(local, engine);
  }

  /** Takes a connection out; another one of the same ends stays. */
  remove(engine: HostedConnection): void {
    const { remote, local } = keysOf(engine.tuple);
    const byLocal = this.#byRemote.get(remote);
    if (byLocal?.get(local) !== engine) return;
    byLocal.delete(local);
    this.#size -= 1;
    if (byLocal.size === 0) this.#byRemote.delete(remote);
  }

  /** All connections as they are now; the table may change meanwhile. */
  all(): TcpEngine[] {
    return [...this.#byRemote.values()].flatMap((byLocal) => [...byLocal.values()]);
  }
}

/** An endpoint as one number: 48 bits, which a double holds exactly. */
export function endpointKey(address: Ipv4Address, port: number): number {
  return address * 65_536 + port;
}

function keysOf(tuple: TcpTuple): { remote: number; local: number } {
  return {
    remote: endpointKey(tuple.remoteAddress, tuple.remotePort),
    local: endpointKey(tuple.localAddress, tuple.localPort),
  };
}
