import {
  encodeTcp,
  noTcpOptions,
  tcpFlag,
  type Ipv4Header,
  type TcpOptions,
} from "../packet/index.ts";
import { synOptions, type HandshakeTerms } from "./handshake.ts";
import type { ReceiveSide } from "./receive-side.ts";
import type { SegmentWriter } from "./send-side.ts";
import { synPosition, wireSequence } from "./sequence.ts";
import type { TcpHost, TcpTuple } from "./tcp-host.ts";
import type { Timestamps } from "./timestamps.ts";

/** What is sent of one connection: puts acknowledgement, window and options on every segment, and knows which are owed. */
export class SegmentOutput implements SegmentWriter {
  /** What the options of both SYNs have come to; undefined before the peer's has come. */
  terms: HandshakeTerms | undefined;
  /** The peer's initial sequence number. */
  peerInitial = 0;
  /** An acknowledgement is owed; any segment that goes out carries it. */
  isAckDue = false;
  readonly #host: TcpHost;
  readonly #tuple: TcpTuple;
  readonly #ip: Ipv4Header;
  readonly #initial: number;
  readonly #receive: ReceiveSide;
  readonly #timestamps: Timestamps;
  #unacknowledged = 0;

  constructor(
    host: TcpHost,
    tuple: TcpTuple,
    initial: number,
    receive: ReceiveSide,
    timestamps: Timestamps,
  ) {
    this.#host = host;
    this.#tuple = tuple;
    this.#ip = { source: tuple.localAddress, destination: tuple.remoteAddress };
    this.#initial = initial;
    this.#receive = receive;
    this.#timestamps = timestamps;
  }

  /** The most payload a segment without options may have: the MTU less both headers. */
  get mssBytes(): number {
    return this.#host.mtu - headersBytes;
  }

  /** What the SACK option takes away from the room for data just now. */
  get gapOptionBytes(): number {
    return this.#tellsGaps ? 4 + blocksBesideData * 8 : 0;
  }

  /** SYN, or SYN with ACK once the peer's has come. */
  sendSyn(): void {
    const isAnswer = this.terms !== undefined;
    this.#emit(isAnswer ? tcpFlag.syn | tcpFlag.ack : tcpFlag.syn, synPosition);
  }

  /** A segment with data, FIN or both. */
  sendData(position: number, parts: readonly Uint8Array[], fin: boolean, push: boolean): void {
    const flags = tcpFlag.ack | (fin ? tcpFlag.fin : 0) | (push ? tcpFlag.psh : 0);
    this.#emit(flags, position, parts);
  }

  /** An acknowledgement alone; `position` is SND.NXT, or lies before it for a keep-alive. */
  sendAck(position: number): void {
    this.#emit(tcpFlag.ack, position);
  }

  /** A reset the peer believes: it is at SND.NXT. */
  sendReset(position: number): void {
    this.#emit(tcpFlag.rst | tcpFlag.ack, position);
  }

  /** The reset that answers an acknowledgement of what was never sent (RFC 9293 §3.10.7.3). */
  sendResetFor(acknowledgment: number): void {
    this.#write(
      { sequence: acknowledgment, acknowledgment: 0, flags: tcpFlag.rst, window: 0 },
      undefined,
    );
  }

  /**
   * A segment with data was taken: its acknowledgement goes out with the turn, and waits for nothing to ride on, since peers with Nagle's
   * algorithm (RFC 896) wait for it with the rest of what is small. Returns true when so many were that one is due before the turn ends.
   */
  owe(): boolean {
    this.isAckDue = true;
    this.#unacknowledged += 1;
    return this.#unacknowledged >= mostUnacknowledged;
  }

  get #tellsGaps(): boolean {
    return this.terms?.sack === true && this.#receive.hasGaps;
  }

  #emit(flags: number, position: number, parts?: readonly Uint8Array[]): void {
    const hasAck = (flags & tcpFlag.ack) !== 0;
    const isSyn = (flags & tcpFlag.syn) !== 0;
    const sequence = wireSequence(this.#initial, position);
    const acknowledgment = hasAck ? wireSequence(this.peerInitial, this.#receive.next) : 0;
    const window = isSyn ? this.#receive.advertiseUnscaled() : this.#receive.advertise();
    const options = this.#options(flags, parts !== undefined && parts.length > 0);
    if (hasAck) {
      this.isAckDue = false;
      this.#unacknowledged = 0;
    }
    this.#write({ sequence, acknowledgment, flags, window, options }, parts);
  }

  #write(fields: SegmentFields, parts: readonly Uint8Array[] | undefined): void {
    const { localPort, remotePort, remoteAddress } = this.#tuple;
    const header = {
      sourcePort: localPort,
      destinationPort: remotePort,
      sequence: fields.sequence,
      acknowledgment: fields.acknowledgment,
      flags: fields.flags,
      window: fields.window,
      options: fields.options ?? noTcpOptions,
    };
    this.#host.output(encodeTcp(this.#ip, header, parts), remoteAddress);
  }

  #options(flags: number, hasData: boolean): TcpOptions {
    if ((flags & tcpFlag.rst) !== 0) return noTcpOptions;
    const isSyn = (flags & tcpFlag.syn) !== 0;
    const timestamps =
      isSyn || this.#timestamps.agreed ? this.#timestamps.option(this.#host.now()) : undefined;
    if (isSyn) return synOptions(this.mssBytes, timestamps, this.terms);
    if (!this.#tellsGaps) return timestamps === undefined ? noTcpOptions : { timestamps };
    const most = hasData ? blocksBesideData : blocksAlone;
    return { timestamps, sack: this.#receive.sackBlocks(this.peerInitial, most) };
  }
}

interface SegmentFields {
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly flags: number;
  readonly window: number;
  readonly options?: TcpOptions;
}

/** IPv4 and TCP headers without options. */
const headersBytes = 40;
/** An acknowledgement goes out after so many segments, at the end of the turn at the latest: never later (RFC 9293 §3.8.6.3). */
const mostUnacknowledged = 8;
/** SACK blocks on a segment with data, and on one without (RFC 2018 §3; three fit beside timestamps). */
const blocksBesideData = 1;
const blocksAlone = 4;
