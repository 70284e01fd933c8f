import { ConfigError, TransportError, type Random } from "@culvert/runtime";
import { formatEndpoint, type Endpoint } from "../endpoint.ts";
import {
  decodeUdp,
  encodeUdp,
  formatIpv4Address,
  ipv4HeaderBytes,
  parseIpv4Address,
  udpHeaderBytes,
  type Ipv4Address,
  type Ipv4Packet,
  type PacketFault,
  type QuotedPacket,
} from "../packet/index.ts";

/** What the UDP ports need of their stack. */
export interface UdpPortsDeps {
  readonly random: Random;
  /** Takes one whole packet and owns it from then on. */
  readonly output: (packet: Uint8Array) => void;
  /** Whether the stack has this address for its own. */
  readonly isOwnAddress: (address: Ipv4Address) => boolean;
  /** The own address that packets from a socket of no address come from; `undefined` if the stack has none. */
  readonly defaultSource: () => Ipv4Address | undefined;
  /** Bytes of the largest packet. */
  readonly mtu: number;
}

/** What a UDP socket was given, and how to answer it. */
export interface ReceivedDatagram {
  /** A view of the packet, which nobody changes; copy it to keep it without the memory around it. */
  readonly payload: Uint8Array;
  readonly remote: Endpoint;
  /** The own address it was sent to, and the socket's port. */
  readonly local: Endpoint;
}

/** Takes the datagrams of a socket; must not throw. */
export type DatagramListener = (datagram: ReceivedDatagram, socket: UdpSocket) => void;

/** What else a UDP socket may be told. */
export interface UdpBindOptions {
  /**
   * Nobody takes what was sent to `remote`, says an ICMP message, which anybody in the network can forge. Must not throw.
   */
  readonly onUnreachable?: (remote: Endpoint, code: number) => void;
}

/** A bound UDP port. Whoever bound it closes it. */
export interface UdpSocket {
  /** `0.0.0.0` of a socket of all own addresses. */
  readonly local: Endpoint;
  /**
   * Sends one datagram, its payload copied. Returns false, and counts it, when it is larger than the MTU allows, the socket is
   * closed, or there is no own address to send from. Throws ConfigError `bad_address` for what is no IPv4 address.
   *
   * @param from - the own address to send from, for a socket that has none of its own: of an answer, the one that was asked.
   */
  send(remote: Endpoint, payload: Uint8Array, from?: string): boolean;
  /** Frees the port; nothing is received after that. Closing twice does nothing. */
  close(): void;
}

/** What the UDP of a stack has done; each number only grows. */
export interface UdpCounters {
  received: number;
  sent: number;
  /** Datagrams to a port nobody has bound. */
  noPort: number;
  /** Datagrams a socket could not send. */
  notSent: number;
}

/** The UDP ports of one stack (RFC 768, RFC 1122 §4.1). */
export class UdpPorts {
  readonly counters: UdpCounters = { received: 0, sent: 0, noPort: 0, notSent: 0 };
  readonly #deps: UdpPortsDeps;
  readonly #sockets = new Map<number, BoundSocket>();

  constructor(deps: UdpPortsDeps) {
    this.#deps = deps;
  }

  /** Bound ports. */
  get size(): number {
    return this.#sockets.size;
  }

  /**
   * Binds a port of one own address, or of all with `0.0.0.0`; port 0 chooses a free one at random (RFC 6056). A socket of one
   * address goes before one of all. Throws ConfigError `bad_address`, or TransportError `address_unavailable` for an address that is not
   * the stack's and `address_in_use`.
   */
  bind(local: Endpoint, onDatagram: DatagramListener, options: UdpBindOptions = {}): UdpSocket {
    const address = addressOf(local);
    if (address !== anyAddress && !this.#deps.isOwnAddress(address)) {
      throw new TransportError("address_unavailable", `${local.address} is not an address here`);
    }
    const port = local.port === 0 ? this.#freePort(address) : local.port;
    if (port === undefined || this.#sockets.has(keyOf(address, port))) {
      throw new TransportError("address_in_use", `UDP ${formatEndpoint(local)} is taken`);
    }
    const socket: BoundSocket = {
      local: { address: local.address, port },
      onDatagram,
      onUnreachable: options.onUnreachable,
      send: (remote, payload, from) => this.#send(socket, address, remote, payload, from),
      close: () => {
        if (this.#sockets.get(keyOf(address, port)) === socket) {
          this.#sockets.delete(keyOf(address, port));
        }
      },
    };
    this.#sockets.set(keyOf(address, port), socket);
    return socket;
  }

  /** Takes a packet of protocol 17. `"no_port"` says that the sender may be told so; a fault is only counted. */
  receive(packet: Ipv4Packet): PacketFault | "no_port" | undefined {
    const datagram = decodeUdp(packet);
    if (typeof datagram === "string") return datagram;
    const socket = this.#find(packet.destination, datagram.destinationPort);
    if (socket === undefined) {
      this.counters.noPort++;
      return "no_port";
    }
    this.counters.received++;
    socket.onDatagram(
      {
        payload: datagram.payload,
        remote: { address: formatIpv4Address(packet.source), port: datagram.sourcePort },
        local: {
          address: formatIpv4Address(packet.destination),
          port: datagram.destinationPort,
        },
      },
      socket,
    );
    return undefined;
  }

  /** Takes what an ICMP message says of a datagram that was sent from here. */
  unreachable(quoted: QuotedPacket, code: number): void {
    const remote = {
      address: formatIpv4Address(quoted.destination),
      port: quoted.destinationPort,
    };
    this.#find(quoted.source, quoted.sourcePort)?.onUnreachable?.(remote, code);
  }

  /** Closes every socket. */
  close(): void {
    this.#sockets.clear();
  }

  #find(address: Ipv4Address, port: number): BoundSocket | undefined {
    const socket = this.#sockets.get(keyOf(address, port));
    if (socket !== undefined || !this.#deps.isOwnAddress(address)) return socket;
    return this.#sockets.get(keyOf(anyAddress, port));
  }

  #send(
    socket: BoundSocket,
    bound: Ipv4Address,
    remote: Endpoint,
    payload: Uint8Array,
    from: string | undefined,
  ): boolean {
    const destination = addressOf(remote);
    const source = this.#sourceOf(bound, from);
    const isOpen = this.#sockets.get(keyOf(bound, socket.local.port)) === socket;
    const bytes = ipv4HeaderBytes + udpHeaderBytes + payload.length;
    if (!isOpen || source === undefined || bytes > this.#deps.mtu) {
      this.counters.notSent++;
      return false;
    }
    this.counters.sent++;
    const ports = { sourcePort: socket.local.port, destinationPort: remote.port };
    this.#deps.output(encodeUdp({ source, destination }, ports, payload));
    return true;
  }

  #sourceOf(bound: Ipv4Address, from: string | undefined): Ipv4Address | undefined {
    if (bound !== anyAddress) return bound;
    if (from === undefined) return this.#deps.defaultSource();
    const address = addressOf({ address: from, port: 0 });
    return this.#deps.isOwnAddress(address) ? address : undefined;
  }

  #freePort(address: Ipv4Address): number | undefined {
    const first = Math.floor(this.#deps.random.fraction() * ephemeralPorts);
    for (let step = 0; step < ephemeralPorts; step++) {
      const port = firstEphemeralPort + ((first + step) % ephemeralPorts);
      if (!this.#sockets.has(keyOf(address, port))) return port;
    }
    return undefined;
  }
}

interface BoundSocket extends UdpSocket {
  readonly onDatagram: DatagramListener;
  readonly onUnreachable: UdpBindOptions["onUnreachable"];
}

const anyAddress: Ipv4Address = 0;

/** The range of IANA (RFC 6335 §6). */
const firstEphemeralPort = 49_152;
const ephemeralPorts = 65_536 - firstEphemeralPort;

function keyOf(address: Ipv4Address, port: number): number {
  return address * 65_536 + port;
}

function addressOf(endpoint: Endpoint): Ipv4Address {
  const address = parseIpv4Address(endpoint.address);
  if (address === undefined || !isPort(endpoint.port)) {
    throw new ConfigError("bad_address", `${formatEndpoint(endpoint)} is no IPv4 endpoint`);
  }
  return address;
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 0 && port <= 65_535;
}
