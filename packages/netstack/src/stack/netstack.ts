import {
  ConfigError,
  formatCloseReason,
  millis,
  TransportError,
  type CloseReason,
  type Millis,
} from "@culvert/runtime";
import { formatEndpoint, type Endpoint } from "../endpoint.ts";
import { IcmpResponder } from "../icmp/icmp-responder.ts";
import {
  decodeIpv4,
  decodeTcp,
  ipProtocol,
  maxIpv4PacketBytes,
  parseIpv4Address,
  unreachableCode,
  type Ipv4Address,
  type Ipv4Packet,
} from "../packet/index.ts";
import type { TcpConnection } from "../tcp/tcp-connection.ts";
import { defaultTcpSettings } from "../tcp/tcp-settings.ts";
import {
  UdpPorts,
  type DatagramListener,
  type UdpBindOptions,
  type UdpSocket,
} from "../udp/udp-ports.ts";
import { defaultNetstackLimits, type NetstackOptions } from "./netstack-options.ts";
import { noDrops, type DropReason, type NetstackStats } from "./netstack-stats.ts";
import type { Acceptor, ListenOptions, TcpListener } from "./tcp-listener.ts";
import { TcpStack, type UnclaimedVerdict } from "./tcp-stack.ts";

/** How to connect. */
export interface ConnectOptions {
  /** The own address, and the port, to connect from; the stack chooses what is absent. */
  readonly local?: Partial<Endpoint>;
  /** How long to try; the stack's `connectTimeoutMs` if absent. */
  readonly timeoutMs?: Millis;
  /** Ends the attempt; it has no effect on an established connection. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * An IPv4 host in user space: TCP, UDP and ICMP echo. Packets go in by {@link receive} and out by the option `output`; it does no
 * I/O of its own. What it has to send it sends once per turn of the event loop, so that acknowledgements ride on data and several
 * segments leave together.
 */
export class Netstack {
  /**
   * Asked for each SYN that no listener takes, to a foreign address or to an unheard port of an own one. Without it foreign
   * addresses are ignored and unheard ports reset. Must not throw.
   */
  onUnclaimed: ((local: Endpoint, remote: Endpoint) => UnclaimedVerdict) | undefined;
  readonly #options: NetstackOptions;
  readonly #mtu: number;
  readonly #loops: boolean;
  readonly #waitingLimit: number;
  readonly #addresses: ReadonlySet<Ipv4Address>;
  readonly #source: Ipv4Address | undefined;
  readonly #tcp: TcpStack;
  readonly #udp: UdpPorts;
  readonly #icmp: IcmpResponder;
  readonly #drops = noDrops();
  /** Packets that came while the stack was at work, or that it sent to itself. */
  #waiting: Uint8Array[] = [];
  #isBusy = false;
  #isClosed = false;
  #turn: NodeJS.Immediate | undefined;
  #receivedPackets = 0;
  #receivedBytes = 0;
  #sentPackets = 0;
  #sentBytes = 0;

  /** @throws ConfigError `bad_address` for an address or MTU that cannot be. */
  constructor(options: NetstackOptions) {
    const { clock, random } = options;
    const limits = { ...defaultNetstackLimits, ...options.limits };
    this.#options = options;
    this.#mtu = checkedMtu(options.mtu ?? maxIpv4PacketBytes);
    this.#loops = options.loopOwnAddresses ?? true;
    this.#waitingLimit = limits.waitingPackets;
    this.#addresses = new Set(options.addresses.map((text) => checkedAddress(text)));
    [this.#source] = this.#addresses;
    const isOwnAddress = (address: Ipv4Address): boolean => this.#addresses.has(address);
    const output = (packet: Uint8Array): void => this.#output(packet, destinationOf(packet));
    this.#tcp = new TcpStack({
      clock,
      random,
      settings: { ...defaultTcpSettings, ...options.tcp },
      limits,
      mtu: this.#mtu,
      output: (packet, destination) => this.#output(packet, destination),
      isOwnAddress,
      unclaimed: (local, remote) => this.onUnclaimed?.(local, remote),
      needsTurn: () => this.#needTurn(),
      hasRoom: options.hasRoom,
    });
    this.#udp = new UdpPorts({
      random,
      output,
      isOwnAddress,
      defaultSource: () => this.#source,
      mtu: this.#mtu,
    });
    this.#icmp = new IcmpResponder({
      clock,
      output,
      isOwnAddress,
      onUnreachable: (quoted, code) => {
        if (quoted.protocol === ipProtocol.tcp) this.#tcp.unreachable(quoted, code);
        else if (quoted.protocol === ipProtocol.udp) this.#udp.unreachable(quoted, code);
      },
    });
  }

  /**
   * Takes one whole IPv4 packet, whose memory belongs to the stack from then on. Never throws: bad packets are dropped and counted.
   * While the stack is at work, packets wait for its next turn.
   */
  receive(packet: Uint8Array): void {
    if (this.#isClosed) this.#drops.closed += 1;
    else if (this.#isBusy || this.#waiting.length > 0) this.#wait(packet);
    else {
      this.#isBusy = true;
      try {
        this.#take(packet);
      } finally {
        this.#isBusy = false;
      }
    }
  }

  /**
   * Connects. The caller owns the connection.
   * @throws TransportError `refused`, `timeout`, `aborted`, `dial_failed` (by ICMP), `address_unavailable`, `address_in_use` or
   *   `connection_closed`; LimitError `too_many_connections`; ConfigError `bad_address`.
   */
  connect(remote: Endpoint, options: ConnectOptions = {}): Promise<TcpConnection> {
    return new Promise((resolve, reject) => {
      const { signal } = options;
      if (signal?.aborted === true) throw aborted(remote, signal);
      const timeoutMs = options.timeoutMs ?? this.#tcpSettings().connectTimeoutMs;
      const settle = (): void => signal?.removeEventListener("abort", onAbort);
      const connection = this.#tcp.connect(
        { address: checkedAddress(remote.address), port: checkedPort(remote.port, 1) },
        this.#localOf(options.local),
        millis(timeoutMs),
        (established) => {
          settle();
          established.off("error", onError);
          resolve(established);
        },
      );
      const onError = (error: Error): void => {
        settle();
        reject(error);
      };
      const onAbort = (): void => {
        connection.destroy(signal === undefined ? undefined : aborted(remote, signal));
      };
      connection.once("error", onError);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /**
   * Takes connections to a port of one own address, or of all if none is named; port 0 chooses a free one.
   * @throws TransportError `address_in_use` or `address_unavailable`; ConfigError `bad_address`.
   */
  listen(
    local: { readonly address?: string; readonly port: number },
    options: ListenOptions,
    accept: Acceptor,
  ): TcpListener {
    this.#checkOpen();
    const text = local.address ?? anyAddressText;
    const address = checkedAddress(text);
    if (text !== anyAddressText) this.#checkOwn(address, text);
    const endpoint = { address: text, port: checkedPort(local.port, 0) };
    return this.#tcp.listen(address, endpoint, accept, options.backlog);
  }

  /**
   * Binds a UDP port of one own address, or of all with `0.0.0.0`; port 0 chooses a free one.
   * @throws TransportError `address_in_use` or `address_unavailable`; ConfigError `bad_address`.
   */
  bindUdp(local: Endpoint, onDatagram: DatagramListener, options?: UdpBindOptions): UdpSocket {
    this.#checkOpen();
    return this.#udp.bind(local, onDatagram, options);
  }

  /** There is room below again: connections that held data back go on, in the order in which they stopped. */
  roomAgain(): void {
    this.#tcp.roomAgain();
  }

  /** Counters since the start, and what is held now. */
  stats(): NetstackStats {
    return {
      receivedPackets: this.#receivedPackets,
      receivedBytes: this.#receivedBytes,
      sentPackets: this.#sentPackets,
      sentBytes: this.#sentBytes,
      drops: { ...this.#drops },
      tcp: { ...this.#tcp.counters, ...this.#tcp.sizes },
      udp: { ...this.#udp.counters, sockets: this.#udp.size },
      icmp: { ...this.#icmp.counters },
    };
  }

  /** Resets every connection, which fails with `connection_closed`, and closes every port. Closing twice does nothing. */
  close(reason: CloseReason): void {
    if (this.#isClosed) return;
    const text = `the network stack was closed: ${formatCloseReason(reason)}`;
    this.#tcp.close(
      () => new TransportError("connection_closed", text, { data: { reason: reason.code } }),
    );
    this.#udp.close();
    this.#isClosed = true;
    this.#waiting = [];
    if (this.#turn !== undefined) clearImmediate(this.#turn);
    this.#turn = undefined;
  }

  #take(bytes: Uint8Array): void {
    this.#receivedPackets += 1;
    this.#receivedBytes += bytes.length;
    const packet = decodeIpv4(bytes);
    const dropped = typeof packet === "string" ? packet : this.#dispatch(packet);
    if (dropped !== undefined) this.#drops[dropped] += 1;
  }

  #dispatch(packet: Ipv4Packet): DropReason | undefined {
    // Neither end of anything is a multicast, broadcast or absent address (RFC 9293 §3.9.2.3, RFC 1122 §3.2.1.3).
    if (!isUnicast(packet.source)) return "bad_source";
    if (!isUnicast(packet.destination)) return "foreign_address";
    if (packet.protocol === ipProtocol.tcp) {
      const segment = decodeTcp(packet);
      if (typeof segment === "string") return segment;
      return this.#tcp.receive(packet, segment, this.#options.clock.now());
    }
    if (!this.#addresses.has(packet.destination)) return "foreign_address";
    if (packet.protocol === ipProtocol.icmp) return this.#icmp.receive(packet);
    if (packet.protocol !== ipProtocol.udp) {
      this.#icmp.unreachable(packet, unreachableCode.protocol);
      return "unknown_protocol";
    }
    const fault = this.#udp.receive(packet);
    if (fault !== "no_port") return fault;
    this.#icmp.unreachable(packet, unreachableCode.port);
    return undefined;
  }

  #output(packet: Uint8Array, destination: Ipv4Address): void {
    if (this.#isClosed) return;
    this.#sentPackets += 1;
    this.#sentBytes += packet.length;
    if (this.#loops && this.#addresses.has(destination)) {
      this.#wait(packet);
      return;
    }
    // An answer that comes before `output` returns must not find a connection in the middle of its work.
    const wasBusy = this.#isBusy;
    this.#isBusy = true;
    try {
      this.#options.output(packet);
    } finally {
      this.#isBusy = wasBusy;
    }
  }

  #wait(packet: Uint8Array): void {
    if (this.#waiting.length >= this.#waitingLimit) {
      this.#drops.queue_full += 1;
      return;
    }
    this.#waiting.push(packet);
    this.#needTurn();
  }

  #needTurn(): void {
    this.#turn ??= setImmediate(this.#takeTurn);
  }

  readonly #takeTurn = (): void => {
    this.#turn = undefined;
    this.#isBusy = true;
    try {
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const packet of waiting) this.#take(packet);
      this.#tcp.flush();
    } finally {
      this.#isBusy = false;
    }
  };

  #localOf(local: Partial<Endpoint> = {}): { address: Ipv4Address; port: number | undefined } {
    this.#checkOpen();
    const address = local.address === undefined ? this.#source : checkedAddress(local.address);
    if (address === undefined) {
      throw new TransportError("address_unavailable", "the network stack has no address");
    }
    if (local.address !== undefined) this.#checkOwn(address, local.address);
    return { address, port: local.port === undefined ? undefined : checkedPort(local.port, 1) };
  }

  #tcpSettings(): { readonly connectTimeoutMs: number } {
    return this.#tcp.settings;
  }

  #checkOwn(address: Ipv4Address, text: string): void {
    if (this.#addresses.has(address)) return;
    throw new TransportError("address_unavailable", `${text} is not an address of this stack`, {
      data: { address: text },
    });
  }

  #checkOpen(): void {
    if (this.#isClosed) {
      throw new TransportError("connection_closed", "the network stack is closed");
    }
  }
}

function aborted(remote: Endpoint, signal: AbortSignal): TransportError {
  return new TransportError("aborted", `connecting to ${formatEndpoint(remote)} was given up`, {
    cause: signal.reason,
  });
}

function checkedAddress(text: string): Ipv4Address {
  const address = parseIpv4Address(text);
  if (address !== undefined) return address;
  throw new ConfigError("bad_address", `"${text}" is no IPv4 address`, { data: { text } });
}

function checkedPort(port: number, least: number): number {
  if (Number.isInteger(port) && port >= least && port <= 65_535) return port;
  throw new ConfigError("bad_address", `${port} is no port`, { data: { port } });
}

function checkedMtu(bytes: number): number {
  if (Number.isInteger(bytes) && bytes >= leastMtu && bytes <= maxIpv4PacketBytes) return bytes;
  throw new ConfigError("bad_address", `${bytes} is no MTU, which is ${leastMtu} to 65535 bytes`, {
    data: { bytes },
  });
}

function destinationOf(packet: Uint8Array): Ipv4Address {
  return new DataView(packet.buffer, packet.byteOffset).getUint32(16);
}

function isUnicast(address: Ipv4Address): boolean {
  return address > 0x00ff_ffff && address < 0xe000_0000;
}

const anyAddressText = "0.0.0.0";
/** What every host must be able to take (RFC 791 §3.2). */
const leastMtu = 576;
