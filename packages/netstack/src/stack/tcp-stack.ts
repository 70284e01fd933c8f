import { LimitError, TransportError, type Clock, type Random } from "@culvert/runtime";
import { formatEndpoint, type Endpoint } from "../endpoint.ts";
import {
  encodeTcp,
  formatIpv4Address,
  tcpFlag,
  type Ipv4Address,
  type Ipv4Packet,
  type QuotedPacket,
  type TcpSegment,
} from "../packet/index.ts";
import { TcpConnection } from "../tcp/tcp-connection.ts";
import type { TcpEngine } from "../tcp/tcp-engine.ts";
import type { HostedConnection, TcpHost, TcpTuple } from "../tcp/tcp-host.ts";
import type { TcpSettings } from "../tcp/tcp-settings.ts";
import { UnreadLedger } from "../tcp/unread-ledger.ts";
import { ConnectionTable, endpointKey } from "./connection-table.ts";
import { ConnectionSecrets } from "./connection-secrets.ts";
import { chooseEphemeralPort } from "./ephemeral-ports.ts";
import type { NetstackLimits } from "./netstack-options.ts";
import type { DropReason, NetstackStats, TcpCounters } from "./netstack-stats.ts";
import { defaultBacklog, type Acceptor, type TcpListener } from "./tcp-listener.ts";
import { TimerHeap } from "./timer-heap.ts";

/** What to do with a SYN that no listener takes: hand the connection over, say no, or say nothing. */
export type UnclaimedVerdict = Acceptor | "reset" | "drop";

/** What the TCP of a stack needs of the rest of it. */
export interface TcpStackDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: TcpSettings;
  readonly limits: NetstackLimits;
  readonly mtu: number;
  readonly output: (packet: Uint8Array, destination: Ipv4Address) => void;
  readonly isOwnAddress: (address: Ipv4Address) => boolean;
  readonly unclaimed: (local: Endpoint, remote: Endpoint) => UnclaimedVerdict | undefined;
  /** {@link TcpStack.flush} is to be called before this turn of the event loop ends. */
  readonly needsTurn: () => void;
  /** Whether what takes the packets has room for more data; absent where it always has. */
  readonly hasRoom?: (() => boolean) | undefined;
}

/** The connections and listeners of one stack. */
export class TcpStack implements TcpHost {
  readonly counters: TcpCounters = { connected: 0, accepted: 0, resetsSent: 0 };
  readonly settings: TcpSettings;
  readonly mtu: number;
  readonly hasRoom: (() => boolean) | undefined;
  readonly unread: UnreadLedger;
  readonly #deps: TcpStackDeps;
  readonly #table = new ConnectionTable();
  readonly #timers: TimerHeap;
  readonly #secrets: ConnectionSecrets;
  readonly #listeners = new Map<number, Listener>();
  /** Handshakes that peers began, and whom they concern. */
  readonly #halfOpen = new Map<HostedConnection, Listener | undefined>();
  readonly #timeWait = new Set<HostedConnection>();
  #changed: HostedConnection[] = [];
  /** Those that hold data back, in the order in which they stopped. */
  readonly #awaitingRoom = new Set<HostedConnection>();

  constructor(deps: TcpStackDeps) {
    this.#deps = deps;
    this.settings = deps.settings;
    this.mtu = deps.mtu;
    this.hasRoom = deps.hasRoom;
    this.unread = new UnreadLedger(deps.limits.unreadBytes);
    this.#timers = new TimerHeap(deps.clock);
    this.#secrets = new ConnectionSecrets(deps.random);
  }

  get sizes(): Omit<NetstackStats["tcp"], keyof TcpCounters> {
    return {
      unreadBytes: this.unread.bytes,
      unreadRefused: this.unread.refused,
      connections: this.#table.size,
      halfOpen: this.#halfOpen.size,
      timeWait: this.#timeWait.size,
      listeners: this.#listeners.size,
    };
  }

  now(): number {
    return this.#deps.clock.now();
  }

  output(packet: Uint8Array, destination: Ipv4Address): void {
    this.#deps.output(packet, destination);
  }

  changed(engine: HostedConnection): void {
    if (engine.isListed) return;
    engine.isListed = true;
    this.#changed.push(engine);
    this.#deps.needsTurn();
  }

  awaitsRoom(engine: HostedConnection): void {
    this.#awaitingRoom.add(engine);
  }

  /** There is room again for those who held data back. */
  roomAgain(): void {
    const waiting = [...this.#awaitingRoom];
    this.#awaitingRoom.clear();
    for (const engine of waiting) this.changed(engine);
  }

  reschedule(engine: HostedConnection): void {
    this.#timers.update(engine);
  }

  waitsOut(engine: HostedConnection): void {
    this.#timeWait.add(engine);
    if (this.#timeWait.size <= this.#deps.limits.timeWait) return;
    const [oldest] = this.#timeWait;
    oldest?.abort();
  }

  released(engine: HostedConnection): void {
    this.#table.remove(engine);
    this.#timers.remove(engine);
    this.#awaitingRoom.delete(engine);
    this.#halfOpen.delete(engine);
    this.#timeWait.delete(engine);
  }

  /** Lets every connection that has changed send what is due. */
  flush(): void {
    const changed = this.#changed;
    this.#changed = [];
    const nowMs = this.now();
    for (const engine of changed) {
      engine.isListed = false;
      engine.flush(nowMs);
    }
  }

  /**
   * Begins a connection.
   * @throws TransportError `address_in_use` or `address_unavailable`; LimitError `too_many_connections`.
   */
  connect(
    remote: { address: Ipv4Address; port: number },
    local: { address: Ipv4Address; port: number | undefined },
    timeoutMs: number,
    onEstablished: (connection: TcpConnection) => void,
  ): TcpConnection {
    this.#checkRoom();
    const isFree = (port: number): boolean =>
      this.#table.find(local.address, port, remote.address, remote.port) === undefined &&
      this.#listenerOf(local.address, port) === undefined;
    const port = local.port ?? chooseEphemeralPort(this.#deps.random, isFree);
    if (port === undefined || !isFree(port)) {
      const address = formatIpv4Address(local.address);
      throw new TransportError("address_in_use", `no free port at ${address}:${local.port ?? 0}`);
    }
    const tuple = {
      localAddress: local.address,
      localPort: port,
      remoteAddress: remote.address,
      remotePort: remote.port,
    };
    const { connection, engine } = this.#make(tuple, (established) => {
      this.counters.connected += 1;
      onEstablished(established);
    });
    engine.connect(timeoutMs);
    return connection;
  }

  /** @throws TransportError `address_in_use`. */
  listen(
    address: Ipv4Address,
    local: Endpoint,
    accept: Acceptor,
    backlog = defaultBacklog,
  ): TcpListener {
    const port = local.port === 0 ? this.#freeListenerPort(address) : local.port;
    if (port === undefined || this.#listeners.has(endpointKey(address, port))) {
      throw new TransportError("address_in_use", `TCP ${formatEndpoint(local)} is taken`, {
        data: { address: local.address, port: local.port },
      });
    }
    const key = endpointKey(address, port);
    const listener = { accept, backlog, pending: 0 };
    this.#listeners.set(key, listener);
    return {
      local: { address: local.address, port },
      close: () => {
        if (this.#listeners.get(key) !== listener) return;
        this.#listeners.delete(key);
        for (const [engine, whose] of this.#halfOpen) if (whose === listener) engine.abort();
      },
    };
  }

  /** Takes a segment. Returns why it was dropped, if it was. */
  receive(packet: Ipv4Packet, segment: TcpSegment, nowMs: number): DropReason | undefined {
    const { source, destination } = packet;
    const { sourcePort, destinationPort, flags } = segment;
    const isSyn = (flags & (tcpFlag.syn | tcpFlag.ack | tcpFlag.rst)) === tcpFlag.syn;
    const engine = this.#table.find(destination, destinationPort, source, sourcePort);
    if (engine !== undefined && !(isSyn && engine.yieldsTo(segment))) {
      engine.handle(segment, nowMs);
      return undefined;
    }
    engine?.abort();
    if (isSyn) return this.#receiveSyn(packet, segment);
    return this.#refuse(packet, segment);
  }

  /** ICMP says that what was sent did not arrive. */
  unreachable(quoted: QuotedPacket, code: number): void {
    this.#table
      .find(quoted.source, quoted.sourcePort, quoted.destination, quoted.destinationPort)
      ?.unreachable(quoted.sequence, code);
  }

  /** Ends everything: each connection fails with what `error` makes. */
  close(error: () => Error): void {
    this.#listeners.clear();
    for (const engine of this.#table.all()) engine.abortWith(error());
    this.#timers.close();
  }

  #checkRoom(): void {
    const limit = this.#deps.limits.connections;
    if (this.#table.size < limit) return;
    throw new LimitError("too_many_connections", `${limit} connections are open`, {
      data: { limit },
    });
  }

  #receiveSyn(packet: Ipv4Packet, segment: TcpSegment): DropReason | undefined {
    const { source, destination } = packet;
    const { sourcePort, destinationPort } = segment;
    const listener = this.#listenerOf(destination, destinationPort);
    let accept = listener?.accept;
    if (accept === undefined) {
      const verdict = this.#deps.unclaimed(
        { address: formatIpv4Address(destination), port: destinationPort },
        { address: formatIpv4Address(source), port: sourcePort },
      );
      if (verdict === "drop") return "unclaimed";
      if (verdict === undefined || verdict === "reset") {
        return this.#refuse(packet, segment, verdict === "reset");
      }
      accept = verdict;
    }
    const { limits } = this.#deps;
    if (this.#table.size >= limits.connections) return "too_many_connections";
    if (this.#halfOpen.size >= limits.halfOpen) return "backlog_full";
    if (this.unread.isFull) return "unread_full";
    if (listener !== undefined && listener.pending >= listener.backlog) return "backlog_full";
    const tuple = {
      localAddress: destination,
      localPort: destinationPort,
      remoteAddress: source,
      remotePort: sourcePort,
    };
    this.#acceptSyn(tuple, segment, listener, accept);
    return undefined;
  }

  #acceptSyn(
    tuple: TcpTuple,
    segment: TcpSegment,
    listener: Listener | undefined,
    accept: Acceptor,
  ): void {
    let isPending = true;
    if (listener !== undefined) listener.pending += 1;
    const settle = (): void => {
      if (listener !== undefined && isPending) listener.pending -= 1;
      isPending = false;
    };
    const { connection, engine } = this.#make(tuple, (established) => {
      settle();
      this.#halfOpen.delete(engine);
      this.counters.accepted += 1;
      accept(established);
    });
    connection.once("close", settle);
    this.#halfOpen.set(engine, listener);
    engine.acceptSyn(segment);
  }

  #make(
    tuple: TcpTuple,
    onEstablished: (connection: TcpConnection) => void,
  ): { connection: TcpConnection; engine: TcpEngine } {
    const made: TcpEngine[] = [];
    const secrets = this.#secrets.next(tuple, this.#deps.clock.now());
    const connection = new TcpConnection(this, tuple, secrets, onEstablished, (engine) =>
      made.push(engine),
    );
    const [engine] = made;
    if (engine === undefined) throw new TransportError("connection_closed", "no engine was made");
    this.#table.add(engine);
    return { connection, engine };
  }

  /** RFC 9293 §3.10.7.1. */
  #refuse(packet: Ipv4Packet, segment: TcpSegment, always = false): DropReason | undefined {
    const { flags, payload } = segment;
    if (!always && !this.#deps.isOwnAddress(packet.destination)) return "foreign_address";
    if ((flags & tcpFlag.rst) !== 0) return undefined;
    const hasAck = (flags & tcpFlag.ack) !== 0;
    const bits = flags & (tcpFlag.syn | tcpFlag.fin);
    const length = payload.length + ((bits & tcpFlag.syn) === 0 ? 0 : 1) + (bits & tcpFlag.fin);
    const header = {
      sourcePort: segment.destinationPort,
      destinationPort: segment.sourcePort,
      sequence: hasAck ? segment.acknowledgment : 0,
      acknowledgment: hasAck ? 0 : (segment.sequence + length) >>> 0,
      flags: hasAck ? tcpFlag.rst : tcpFlag.rst | tcpFlag.ack,
      window: 0,
    };
    this.counters.resetsSent += 1;
    const ends = { source: packet.destination, destination: packet.source };
    this.output(encodeTcp(ends, header), packet.source);
    return undefined;
  }

  #listenerOf(address: Ipv4Address, port: number): Listener | undefined {
    const exact = this.#listeners.get(endpointKey(address, port));
    if (exact !== undefined || !this.#deps.isOwnAddress(address)) return exact;
    return this.#listeners.get(endpointKey(anyAddress, port));
  }

  #freeListenerPort(address: Ipv4Address): number | undefined {
    return chooseEphemeralPort(
      this.#deps.random,
      (port) => !this.#listeners.has(endpointKey(address, port)),
    );
  }
}

interface Listener {
  readonly accept: Acceptor;
  readonly backlog: number;
  /** Handshakes under way. */
  pending: number;
}

const anyAddress: Ipv4Address = 0;
