import type { Clock } from "@culvert/runtime";
import {
  beginningOf,
  decodeIcmp,
  decodeQuotedPacket,
  encodeIcmp,
  icmpType,
  ipProtocol,
  ipv4HeaderBytes,
  type Ipv4Address,
  type Ipv4Packet,
  type PacketFault,
  type QuotedPacket,
} from "../packet/index.ts";

/** What the responder needs of its stack. */
export interface IcmpResponderDeps {
  readonly clock: Clock;
  /** Takes one whole packet and owns it from then on. */
  readonly output: (packet: Uint8Array) => void;
  /** Whether the stack has this address for its own. */
  readonly isOwnAddress: (address: Ipv4Address) => boolean;
  /**
   * Told of an "unreachable" about a packet that came from an own address. Anybody in the network can forge one: check that the
   * quoted ports and sequence number are of something in flight before believing it (RFC 5927 §4).
   */
  readonly onUnreachable: (quoted: QuotedPacket, code: number) => void;
}

/** What an ICMP responder has done; each number only grows. */
export interface IcmpCounters {
  echoReplies: number;
  unreachablesSent: number;
  unreachablesReceived: number;
  /** Errors not sent because too many were sent just before. */
  errorsSuppressed: number;
  /** Messages of types nobody here acts on. */
  ignored: number;
}

/** The ICMP of a host (RFC 792, RFC 1122 §3.2.2): answers echo requests, sends and takes "destination unreachable". */
export class IcmpResponder {
  readonly counters: IcmpCounters = {
    echoReplies: 0,
    unreachablesSent: 0,
    unreachablesReceived: 0,
    errorsSuppressed: 0,
    ignored: 0,
  };
  readonly #deps: IcmpResponderDeps;
  #tokens: number = errorBurst;
  #filledAtMs: number;

  constructor(deps: IcmpResponderDeps) {
    this.#deps = deps;
    this.#filledAtMs = deps.clock.now();
  }

  /** Takes a packet of protocol 1; returns why it was dropped, if it was. */
  receive(packet: Ipv4Packet): PacketFault | undefined {
    const message = decodeIcmp(packet);
    if (typeof message === "string") return message;
    if (message.type === icmpType.echoRequest && this.#deps.isOwnAddress(packet.destination)) {
      this.counters.echoReplies++;
      const header = { source: packet.destination, destination: packet.source };
      this.#deps.output(encodeIcmp(header, { ...message, type: icmpType.echoReply, code: 0 }));
      return undefined;
    }
    const quoted =
      message.type === icmpType.unreachable ? decodeQuotedPacket(message.body) : undefined;
    if (quoted === undefined || !this.#deps.isOwnAddress(quoted.source)) {
      this.counters.ignored++;
      return undefined;
    }
    this.counters.unreachablesReceived++;
    this.#deps.onUnreachable(quoted, message.code);
    return undefined;
  }

  /**
   * Says to a packet's sender that nobody takes it, with one of `unreachableCode`. Silent where RFC 1122 §3.2.2 asks for it (ICMP
   * itself, broadcasts, multicasts, senders without an address), and beyond a rate no honest sender notices.
   */
  unreachable(packet: Ipv4Packet, code: number): void {
    if (packet.protocol === ipProtocol.icmp) return;
    if (!isUnicast(packet.destination) || !isUnicast(packet.source)) return;
    if (!this.#takeToken()) {
      this.counters.errorsSuppressed++;
      return;
    }
    this.counters.unreachablesSent++;
    this.#deps.output(
      encodeIcmp(
        { source: packet.destination, destination: packet.source },
        { type: icmpType.unreachable, code, rest: 0, body: beginningOf(packet, quotedBytes) },
      ),
    );
  }

  #takeToken(): boolean {
    const nowMs = this.#deps.clock.now();
    const gained = (nowMs - this.#filledAtMs) * errorsPerMs;
    this.#tokens = Math.min(errorBurst, this.#tokens + gained);
    this.#filledAtMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}

/** Errors of a second and at once: what Linux allows itself (icmp_msgs_per_sec, icmp_msgs_burst). */
const errorsPerMs = 1;
const errorBurst = 50;

/** An error is at most 576 bytes long (RFC 1812 §4.3.2.3): two headers of 20 bytes and one of 8 go off. */
const quotedBytes = 576 - 2 * ipv4HeaderBytes - 8;

/** Neither "this network" nor a multicast, reserved or broadcast address. */
function isUnicast(address: Ipv4Address): boolean {
  return address >= 0x0100_0000 && address < 0xe000_0000;
}
