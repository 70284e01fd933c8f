import { seededRandom, VirtualClock } from "@culvert/testkit";
import { Netstack, type NetstackOptions, type TcpConnection } from "./index.ts";
import {
  decodeIpv4,
  decodeTcp,
  encodeIcmp,
  encodeTcp,
  icmpType,
  parseIpv4Address,
  tcpFlag,
  type TcpHeader,
  type TcpSegment,
} from "./packet/index.ts";

export const stackAddress = "10.9.0.1";
export const peerAddress = "10.9.0.2";
export const peerPort = 7_000;
export const stackPort = 80;

/** The peer's initial sequence number in every script. */
export const peerInitial = 0xffff_fff0;

const stackIp = parseIpv4Address(stackAddress) ?? 0;
const peerIp = parseIpv4Address(peerAddress) ?? 0;

/** What of a segment a script names; the rest is as the peer of an open connection would have it. */
export type Script = Partial<TcpHeader> & { readonly payload?: Uint8Array };

/** A stack, and a peer that sends exactly what a test tells it to. */
export class ScriptedPeer {
  readonly clock = new VirtualClock();
  readonly stack: Netstack;
  /** The stack's port in what the peer sends. */
  stackPort = stackPort;
  /** The peer's next sequence number, and the one it expects of the stack. */
  sequence = (peerInitial + 1) >>> 0;
  acknowledgment = 0;
  window = 0xffff;
  readonly #sent: TcpSegment[] = [];

  constructor(options: Partial<NetstackOptions> = {}) {
    this.stack = new Netstack({
      clock: this.clock,
      random: seededRandom(1),
      addresses: [stackAddress],
      mtu: 1_500,
      output: (packet) => {
        const decoded = decodeIpv4(packet);
        const segment = typeof decoded === "string" ? undefined : decodeTcp(decoded);
        if (typeof segment === "object") this.#sent.push(segment);
      },
      ...options,
    });
  }

  /** Sends a segment, ACK unless told otherwise, and lets the stack take its turn. */
  async send(script: Script = {}): Promise<void> {
    this.sendNow(script);
    await this.clock.advance(0);
  }

  /** {@link send} without a turn. */
  sendNow(script: Script = {}): void {
    const { payload, ...header } = script;
    this.stack.receive(
      encodeTcp(
        { source: peerIp, destination: stackIp },
        {
          sourcePort: peerPort,
          destinationPort: this.stackPort,
          sequence: this.sequence,
          acknowledgment: this.acknowledgment,
          flags: tcpFlag.ack,
          window: this.window,
          ...header,
        },
        payload === undefined ? [] : [payload],
      ),
    );
  }

  /** The network says that a segment of the stack with this sequence number could not be delivered. */
  async sendUnreachable(sequence: number, code: number): Promise<void> {
    const about = encodeTcp(
      { source: stackIp, destination: peerIp },
      {
        sourcePort: this.stackPort,
        destinationPort: peerPort,
        sequence,
        acknowledgment: 0,
        flags: tcpFlag.syn,
        window: 0,
      },
    );
    const message = { type: icmpType.unreachable, code, rest: 0, body: about.subarray(0, 28) };
    this.stack.receive(encodeIcmp({ source: peerIp, destination: stackIp }, message));
    await this.clock.advance(0);
  }

  /** Sends bytes at the peer's next position and moves it on. */
  async sendBytes(length: number, script: Script = {}): Promise<void> {
    const payload = new Uint8Array(length).fill(this.sequence);
    await this.send({ payload, ...script });
    this.sequence = (this.sequence + length) >>> 0;
  }

  /** What the stack has sent since it was last asked. */
  taken(): TcpSegment[] {
    return this.#sent.splice(0);
  }

  /** The one segment the stack has sent since it was last asked. */
  only(): TcpSegment {
    const [segment, ...others] = this.taken();
    if (segment === undefined || others.length > 0) {
      throw new Error(`${others.length + (segment === undefined ? 0 : 1)} segments were sent`);
    }
    return segment;
  }

  /** Opens a connection to the stack's port. */
  async open(options: TcpHeader["options"] = {}): Promise<TcpConnection> {
    let accepted: TcpConnection | undefined;
    const listener = this.stack.listen({ port: this.stackPort }, {}, (connection) => {
      accepted = connection;
    });
    await this.send({
      sequence: peerInitial,
      acknowledgment: 0,
      flags: tcpFlag.syn,
      options: { mss: 1_460, ...options },
    });
    const answer = this.only();
    this.acknowledgment = (answer.sequence + 1) >>> 0;
    await this.send(
      options.timestamps === undefined
        ? {}
        : { options: { timestamps: { value: 1, echo: answer.options.timestamps?.value ?? 0 } } },
    );
    listener.close();
    if (accepted === undefined) throw new Error("not accepted");
    return accepted;
  }
}

/** The flags of a segment as the letters of its control bits, such as `SA`. */
export function flagsOf(segment: TcpSegment): string {
  const letters = Object.entries({ F: 1, S: 2, R: 4, P: 8, A: 16 });
  return letters.map(([letter, bit]) => ((segment.flags & bit) === 0 ? "" : letter)).join("");
}
