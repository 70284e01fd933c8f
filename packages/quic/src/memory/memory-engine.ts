import { TransportError, withDeadline, type Clock, type CloseReason } from "@culvert/runtime";
import type {
  DialOptions,
  ListenOptions,
  QuicConnection,
  QuicEngine,
  QuicListener,
} from "../engine.ts";
import { MemoryConnection } from "./memory-connection.ts";
import { MemoryHost } from "./memory-host.ts";
import { MemoryListener, type MemoryLink } from "./memory-listener.ts";

/** What an engine asks of its network. */
export interface MemoryFabric {
  readonly clock: Clock;
  /** Puts a listener on its port, or on a free one where the options say 0; undefined if the port is taken. */
  bind(port: number, create: (port: number) => MemoryListener): MemoryListener | undefined;
  unbind(port: number): void;
  /** The dialler's end of a new link; frames of a link to a port where nobody listens are lost. */
  connect(from: MemoryHost, port: number): MemoryLink;
}

/** An engine on a memory network: what one process would have. */
export class MemoryEngine implements QuicEngine {
  readonly name = "memory" as const;
  readonly #fabric: MemoryFabric;
  readonly #host = new MemoryHost();
  readonly #listeners = new Set<MemoryListener>();
  readonly #connections = new Set<MemoryConnection>();

  constructor(fabric: MemoryFabric) {
    this.#fabric = fabric;
  }

  listen(options: ListenOptions): Promise<QuicListener> {
    const { host, port: wanted } = options.address;
    const bound = this.#fabric.bind(wanted, (port) => {
      const owner = {
        established: (connection: MemoryConnection) => this.#keep(connection),
        closed: () => {
          this.#fabric.unbind(port);
          this.#listeners.delete(listener);
        },
      };
      const listener: MemoryListener = new MemoryListener(
        { clock: this.#fabric.clock, host: this.#host },
        { ...options, address: { host, port } },
        owner,
      );
      return listener;
    });
    if (bound === undefined) {
      const data = { host, port: wanted };
      return Promise.reject(
        new TransportError("address_in_use", `${host} port ${wanted} is in use`, { data }),
      );
    }
    this.#listeners.add(bound);
    return Promise.resolve(bound);
  }

  dial(options: DialOptions): Promise<QuicConnection> {
    const { address, settings, signal } = options;
    return withDeadline<QuicConnection>(
      {
        clock: this.#fabric.clock,
        limit: settings.handshakeTimeout,
        what: `handshake with ${address.host} port ${address.port}`,
        signal,
        discard: (late) => late.close({ by: "us", code: "late", text: "nobody waits any more" }),
      },
      (waiting) => this.#shakeHands(options, waiting),
    );
  }

  /** Stops the process of this engine, as SIGSTOP does: it answers nothing until {@link thaw}. */
  freeze(): void {
    this.#host.freeze();
  }

  /** Lets it go on, as SIGCONT does. */
  thaw(): void {
    this.#host.thaw();
  }

  /** Ends the process of this engine, as SIGKILL does: its ports are free, its peers hear nothing. */
  kill(): void {
    this.#host.die();
    const reason: CloseReason = { by: "us", code: "killed", text: "the process was killed" };
    for (const listener of [...this.#listeners]) listener.vanish(reason);
    for (const connection of [...this.#connections]) connection.vanish(reason);
  }

  /** Fails the path of every connection of this engine; both ends notice at once. */
  cut(): void {
    for (const connection of [...this.#connections]) connection.cut();
  }

  #shakeHands(options: DialOptions, waiting: AbortSignal): Promise<QuicConnection> {
    const { address, expectedPeer, identity, settings } = options;
    const link = this.#fabric.connect(this.#host, address.port);
    return new Promise((resolve, reject) => {
      waiting.addEventListener("abort", () => link.outbound.send({ type: "give-up" }));
      link.inbound.receiver = (frame) => {
        if (frame.type !== "welcome" || waiting.aborted) return;
        if (frame.peer !== expectedPeer) {
          link.outbound.send({ type: "give-up" });
          const text = `${address.host} port ${address.port} is ${frame.peer}, not ${expectedPeer}`;
          const data = { expected: expectedPeer, actual: frame.peer };
          reject(new TransportError("wrong_peer", text, { data }));
          return;
        }
        link.outbound.send({ type: "finished" });
        const connection = new MemoryConnection(
          { clock: this.#fabric.clock, host: this.#host, ...link },
          {
            side: "client",
            peer: frame.peer,
            remote: address,
            settings,
            peerSettings: frame.settings,
          },
        );
        this.#keep(connection);
        resolve(connection);
      };
      link.outbound.send({ type: "hello", peer: identity.peerId, settings });
    });
  }

  #keep(connection: MemoryConnection): void {
    this.#connections.add(connection);
    void connection.closed.then(() => this.#connections.delete(connection));
  }
}
