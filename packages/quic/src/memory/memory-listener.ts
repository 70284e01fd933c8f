import { BoundedQueue, millis, type Clock, type CloseReason, type Timer } from "@culvert/runtime";
import type {
  ListenOptions,
  QuicConnection,
  QuicListener,
  QuicListenerStats,
  UdpAddress,
} from "../engine.ts";
import { MemoryConnection } from "./memory-connection.ts";
import type { MemoryFrame } from "./memory-frame.ts";
import type { MemoryHost } from "./memory-host.ts";
import type { MemoryPipe } from "./memory-pipe.ts";

/** The two directions of a link as one end sees them, and where the other end is. */
export interface MemoryLink {
  readonly outbound: MemoryPipe;
  readonly inbound: MemoryPipe;
  readonly remote: UdpAddress;
}

/** What a listener reports to the engine that made it. */
export interface ListenerOwner {
  established(connection: MemoryConnection): void;
  closed(): void;
}

/** A bound port of a memory network. */
export class MemoryListener implements QuicListener {
  readonly engine = "memory" as const;
  readonly address: UdpAddress;
  /** Where the listener runs. */
  readonly host: MemoryHost;
  readonly connections: BoundedQueue<QuicConnection>;
  readonly #clock: Clock;
  readonly #options: ListenOptions;
  readonly #owner: ListenerOwner;
  readonly #live = new Set<MemoryConnection>();
  readonly #halfOpen = new Map<MemoryPipe, Timer>();
  readonly #counts = { started: 0, completed: 0, failed: 0, queueFull: 0, halfOpenLimit: 0 };
  #closed = false;

  constructor(
    deps: { readonly clock: Clock; readonly host: MemoryHost },
    options: ListenOptions,
    owner: ListenerOwner,
  ) {
    this.#clock = deps.clock;
    this.host = deps.host;
    this.address = options.address;
    this.#options = options;
    this.#owner = owner;
    this.connections = new BoundedQueue(options.settings.maxHalfOpen);
  }

  /** Hears a new link; called before the first frame of it arrives. */
  attach(link: MemoryLink): void {
    link.inbound.receiver = (frame) => this.#handle(link, frame);
  }

  close(): Promise<void> {
    this.#end((connection) =>
      connection.close({ by: "us", code: "listener_closed", text: "the listener was closed" }),
    );
    return Promise.resolve();
  }

  /** Ends as a killed process does: the peers are told nothing. */
  vanish(reason: CloseReason): void {
    this.#end((connection) => connection.vanish(reason));
  }

  stats(): QuicListenerStats {
    return {
      handshakesStarted: this.#counts.started,
      handshakesCompleted: this.#counts.completed,
      handshakesFailed: this.#counts.failed,
      halfOpen: this.#halfOpen.size,
      retriesSent: 0,
      drops: {
        malformed: 0,
        unknown_connection: 0,
        bad_token: 0,
        half_open_limit: this.#counts.halfOpenLimit,
        rate_limit: 0,
        queue_full: this.#counts.queueFull,
      },
    };
  }

  #end(release: (connection: MemoryConnection) => void): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const timer of this.#halfOpen.values()) timer.cancel();
    this.#halfOpen.clear();
    this.connections.drain();
    for (const connection of [...this.#live]) release(connection);
    this.#owner.closed();
  }

  #handle(link: MemoryLink, frame: MemoryFrame): void {
    if (this.#closed || frame.type !== "hello") return;
    this.#counts.started += 1;
    if (this.#halfOpen.size >= this.#options.settings.maxHalfOpen) {
      this.#counts.halfOpenLimit += 1;
      return;
    }
    const { settings, identity } = this.#options;
    const timer = this.#clock.setTimer(millis(settings.handshakeTimeout), () =>
      this.#handshakeOver(link, false),
    );
    this.#halfOpen.set(link.inbound, timer);
    link.inbound.receiver = (answer) => {
      if (this.#closed || !this.#halfOpen.has(link.inbound)) return;
      this.#handshakeOver(link, answer.type === "finished");
      if (answer.type === "finished") this.#establish(link, frame);
    };
    link.outbound.send({ type: "welcome", peer: identity.peerId, settings });
  }

  #handshakeOver(link: MemoryLink, completed: boolean): void {
    this.#halfOpen.get(link.inbound)?.cancel();
    this.#halfOpen.delete(link.inbound);
    this.#counts[completed ? "completed" : "failed"] += 1;
  }

  #establish(link: MemoryLink, hello: MemoryFrame & { readonly type: "hello" }): void {
    const connection = new MemoryConnection(
      { clock: this.#clock, host: this.host, ...link },
      {
        side: "server",
        peer: hello.peer,
        remote: link.remote,
        settings: this.#options.settings,
        peerSettings: hello.settings,
      },
    );
    if (!this.connections.push(connection)) {
      this.#counts.queueFull += 1;
      connection.close({ by: "us", code: "queue_full", text: "nobody takes new connections" });
      return;
    }
    this.#live.add(connection);
    void connection.closed.then(() => this.#live.delete(connection));
    this.#owner.established(connection);
  }
}
