import type {
  QuicConnection,
  QuicListener,
  QuicSettings,
  QuicStream,
  UdpAddress,
} from "@culvert/quic";
import { quicDefaults } from "@culvert/quic";
import { millis, Scope } from "@culvert/runtime";
import type { PeerId } from "@culvert/identity";
import type { EnginePair } from "./engine-pair.ts";
import { spawnEnginePeer, type EnginePeer, type EnginePeerRole } from "./engine-peer.ts";
import { Link } from "../link/link.ts";
import { within } from "../wait-until.ts";

/** Settings of the compliance cases: windows that fill quickly, and silence that is noticed soon. */
export const complianceSettings: QuicSettings = {
  ...quicDefaults,
  handshakeTimeout: millis(3_000),
  idleTimeout: millis(1_500),
  keepAlive: millis(300),
  streamWindowBytes: 1024 * 1024,
  connectionWindowBytes: 4 * 1024 * 1024,
  maxStreams: 256,
};

/** Everything one case opens, closed again at its end. */
export class EngineHarness {
  readonly pair: EnginePair;
  readonly settings: QuicSettings;
  readonly #scope = new Scope();

  constructor(pair: EnginePair, settings: QuicSettings) {
    this.pair = pair;
    this.settings = settings;
  }

  /** Listens on a free port of the loopback address. */
  async listen(
    overrides: Partial<QuicSettings> = {},
    address: UdpAddress = anyPort,
  ): Promise<HarnessListener> {
    const listener = await this.pair.server.listen({
      address,
      identity: this.pair.serverIdentity,
      settings: { ...this.settings, ...overrides },
    });
    this.#scope.add(() => listener.close());
    return new HarnessListener(listener);
  }

  /** Dials an address, by default as the client and for the server. */
  async dial(
    address: UdpAddress,
    options: {
      readonly expectedPeer?: PeerId;
      readonly signal?: AbortSignal;
      readonly settings?: Partial<QuicSettings>;
    } = {},
  ): Promise<QuicConnection> {
    const connection = await this.pair.client.dial({
      address,
      identity: this.pair.clientIdentity,
      expectedPeer: options.expectedPeer ?? this.pair.serverIdentity.peerId,
      settings: { ...this.settings, ...options.settings },
      signal: options.signal,
    });
    this.#scope.add(() => connection.close({ by: "us", code: "over", text: "the case is over" }));
    return connection;
  }

  /** A listener, and one connection to it. */
  async connect(overrides: Partial<QuicSettings> = {}, host = anyPort.host): Promise<EngineLink> {
    const listener = await this.listen(overrides, { host, port: 0 });
    const client = await this.dial(listener.address, { settings: overrides });
    return new EngineLink(listener, client, await listener.next());
  }

  /** A peer in a process of its own (or what stands for one). */
  async spawnPeer(role: EnginePeerRole): Promise<EnginePeer> {
    const options = { role, settings: this.settings };
    const { spawnPeer, server, client } = this.pair;
    const engine = role.kind === "listen" ? server.name : client.name;
    const peer = await (spawnPeer?.(options) ?? spawnEnginePeer(engine, options));
    this.#scope.add(() => peer.dispose());
    return peer;
  }

  /** Has something released at the end of the case. */
  add(cleanup: () => void | Promise<void>): void {
    this.#scope.add(cleanup);
  }

  /** Releases everything. */
  close(): Promise<void> {
    return this.#scope.close();
  }
}

/** A listener whose connections are taken one by one. */
export class HarnessListener {
  readonly listener: QuicListener;
  readonly #connections: AsyncIterator<QuicConnection>;

  constructor(listener: QuicListener) {
    this.listener = listener;
    this.#connections = listener.connections[Symbol.asyncIterator]();
  }

  get address(): UdpAddress {
    return this.listener.address;
  }

  /** The next established connection. */
  async next(): Promise<QuicConnection> {
    const result = await within(this.#connections.next(), { what: "an accepted connection" });
    if (result.done === true) throw new Error("the listener ended");
    return result.value;
  }

  /** Whether the connections end, once those established before are taken. */
  async ends(): Promise<boolean> {
    for (;;) {
      const next = await within(this.#connections.next(), { what: "the end of the listener" });
      if (next.done === true) return true;
    }
  }
}

/** Both ends of one connection, and the listener it came to. */
export class EngineLink extends Link<QuicStream, QuicConnection> {
  readonly listener: HarnessListener;

  constructor(listener: HarnessListener, client: QuicConnection, server: QuicConnection) {
    super(client, server);
    this.listener = listener;
  }
}

/** Any free port of the IPv4 loopback address. */
export const anyPort: UdpAddress = { host: "127.0.0.1", port: 0 };
