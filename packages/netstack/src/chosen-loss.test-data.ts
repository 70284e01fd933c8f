import { millis } from "@culvert/runtime";
import { seededRandom, VirtualClock } from "@culvert/testkit";
import { decodeIpv4, decodeTcp, encodeTcp, type TcpSegment } from "./packet/index.ts";
import { Netstack, type TcpConnection } from "./index.ts";

/** A segment with data that the sender has sent. */
export interface SentData {
  /** Since the connection was open. */
  readonly atMs: number;
  /** Which segment of the stream it is, the first is 0. */
  readonly number: number;
  /** How often this one was sent, this time included. */
  readonly times: number;
}

/** Two stacks 10 ms from each other, of which one sends and the other counts, and a test that chooses what becomes of each segment. */
export class ChosenLoss {
  readonly clock = new VirtualClock();
  readonly sent: SentData[] = [];
  received = 0;
  /** Milliseconds by which a segment with data is late; Infinity loses it. Before the first call everything arrives in time. */
  fate: (data: SentData) => number = () => 0;
  readonly #near: Netstack;
  readonly #far: Netstack;
  readonly #times = new Map<number, number>();
  #firstSequence: number | undefined;
  #startMs = 0;
  #connection: TcpConnection | undefined;

  /** `isSilent`: the far end reports nothing of what it holds, though it agreed to, as some do after their FIN. */
  constructor({ isSilent = false } = {}) {
    const common = { clock: this.clock, random: seededRandom(1), mtu: 1_500 };
    this.#near = new Netstack({
      ...common,
      addresses: ["10.77.0.1"],
      output: (packet) => this.#carry(packet, this.#far, this.#lateness(packet)),
    });
    this.#far = new Netstack({
      ...common,
      addresses: ["10.77.0.2"],
      output: (packet) => this.#carry(isSilent ? withoutSack(packet) : packet, this.#near, 0),
    });
  }

  /** Since the connection was open, or since {@link restart}. */
  get nowMs(): number {
    return this.clock.now() - this.#startMs;
  }

  get retransmitted(): readonly SentData[] {
    return this.sent.filter(({ times }) => times > 1);
  }

  /** Opens the connection; from then on everything has its fate. */
  async open(): Promise<void> {
    this.#far.listen({ port: 7 }, {}, (accepted) => {
      accepted.on("data", (chunk: Uint8Array) => (this.received += chunk.length));
    });
    const opening = this.#near.connect({ address: "10.77.0.2", port: 7 });
    await this.clock.advance(100);
    this.#connection = await opening;
    this.restart();
  }

  /** Sends so many full segments. */
  send(segments: number): void {
    this.#connection?.write(new Uint8Array(segments * segmentBytes));
  }

  /** Begins counting segments and time anew. */
  restart(): void {
    this.#firstSequence = undefined;
    this.#startMs = this.clock.now();
    this.#times.clear();
    this.sent.length = 0;
    this.received = 0;
  }

  /** Lets time pass until so many segments have arrived in order, at most `limitMs`; gives when that was. */
  async arrived(segments: number, limitMs: number): Promise<number> {
    while (this.received < segments * segmentBytes) {
      if (this.nowMs >= limitMs) throw new Error(`${this.received} bytes after ${limitMs} ms`);
      await this.clock.advance(1);
    }
    return this.nowMs;
  }

  #carry(packet: Uint8Array, to: Netstack, lateMs: number): void {
    if (lateMs === Infinity) return;
    this.clock.setTimer(millis(oneWayMs + lateMs), () => to.receive(packet));
  }

  #lateness(packet: Uint8Array): number {
    const segment = segmentOf(packet);
    if (segment === undefined || segment.payload.length === 0) return 0;
    this.#firstSequence ??= segment.sequence;
    const number = ((segment.sequence - this.#firstSequence) | 0) / segmentBytes;
    const times = (this.#times.get(number) ?? 0) + 1;
    this.#times.set(number, times);
    const data = { atMs: this.nowMs, number, times };
    this.sent.push(data);
    return this.fate(data);
  }
}

/** The same segment without what it reports as held. */
function withoutSack(packet: Uint8Array): Uint8Array {
  const ip = decodeIpv4(packet);
  const segment = typeof ip === "string" ? ip : decodeTcp(ip);
  if (typeof ip === "string" || typeof segment === "string") return packet;
  if (segment.options.sack === undefined) return packet;
  const { payload, options, ...header } = segment;
  return encodeTcp(ip, { ...header, options: { ...options, sack: undefined } }, [payload]);
}

function segmentOf(packet: Uint8Array): TcpSegment | undefined {
  const ip = decodeIpv4(packet);
  const segment = typeof ip === "string" ? ip : decodeTcp(ip);
  return typeof segment === "string" ? undefined : segment;
}

const oneWayMs = 10;
/** An MTU of 1,500 less both headers and timestamps. */
const segmentBytes = 1_448;
