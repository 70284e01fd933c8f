import type { Millis, SpliceProgress } from "@culvert/runtime";

/** One forwarded connection, as the relay sees it: all four identifiers of architecture.md, and what passed. */
export interface LiveConnection {
  readonly traceId: string;
  readonly client: string;
  readonly clientId: string;
  /** P1's port at the client, 0 where it has none. */
  readonly clientPort: number;
  readonly server: string;
  readonly target: string;
  readonly openedAt: Millis;
  /** leftToRight = from client to server. */
  readonly progress: SpliceProgress;
}

/** The connections open now, and how many each peer has. */
export class ConnectionTable {
  readonly #connections = new Set<LiveConnection>();
  readonly #perClient = new Map<string, number>();
  readonly #perServer = new Map<string, number>();

  get size(): number {
    return this.#connections.size;
  }

  /** Connections open now, oldest first. */
  list(): Iterable<LiveConnection> {
    return this.#connections;
  }

  /** Streams of a client that are connected or asking. */
  ofClient(clientId: string): number {
    return this.#perClient.get(clientId) ?? 0;
  }

  /** Connections to a server that are open or being opened. */
  ofServer(server: string): number {
    return this.#perServer.get(server) ?? 0;
  }

  /** Counts a stream of a client from its first byte; returns the function that uncounts it. */
  countClient(clientId: string): () => void {
    return count(this.#perClient, clientId);
  }

  /** Counts a connection to a server from its offer; returns the function that uncounts it. */
  countServer(server: string): () => void {
    return count(this.#perServer, server);
  }

  /** Adds an open connection; returns the function that removes it. */
  add(connection: LiveConnection): () => void {
    this.#connections.add(connection);
    return () => this.#connections.delete(connection);
  }
}

function count(counts: Map<string, number>, key: string): () => void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
  let counted = true;
  return () => {
    if (!counted) return;
    counted = false;
    const left = (counts.get(key) ?? 1) - 1;
    if (left === 0) counts.delete(key);
    else counts.set(key, left);
  };
}
