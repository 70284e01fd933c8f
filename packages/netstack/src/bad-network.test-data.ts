import { millis, type Clock, type Random } from "@culvert/runtime";
import { PacketLink, seededRandom, VirtualClock, type PacketLinkOptions } from "@culvert/testkit";
import { decodeIpv4, decodeTcp, encodeTcp, tcpFlag } from "./packet/index.ts";
import { Netstack, type NetstackOptions, type TcpConnection } from "./index.ts";

/** Where the two stacks of a {@link BadNetwork} are. */
export const nearAddress = "10.77.0.1";
export const farAddress = "10.77.0.2";
export const farPort = 7;

/** What a {@link BadNetwork} is made of. */
export interface BadNetworkOptions extends Omit<PacketLinkOptions, "clock" | "random"> {
  readonly seed: number;
  readonly nearMtu?: number;
  readonly farMtu?: number;
  /** Share of packets whose bytes arrive in two overlapping segments instead, cut anywhere. */
  readonly recut?: number;
  /** Begins sequence numbers and timestamps just below the place where they wrap. */
  readonly wraps?: boolean;
  readonly tcp?: NonNullable<NetstackOptions["tcp"]>;
}

/** Two stacks on one virtual clock with a link between them. */
export class BadNetwork {
  readonly clock = new VirtualClock();
  readonly link: PacketLink;
  readonly near: Netstack;
  readonly far: Netstack;

  constructor({
    seed,
    nearMtu = 1500,
    farMtu = 1500,
    tcp = {},
    wraps = false,
    recut = 0,
    ...link
  }: BadNetworkOptions) {
    const random = seededRandom(seed);
    const secrets: Random = {
      fraction: () => random.fraction(),
      bytes: (length) => (wraps ? new Uint8Array(length).fill(0xff) : random.bytes(length)),
    };
    this.link = new PacketLink({ clock: this.clock, random, ...link });
    const stack = (address: string, mtu: number, end: PacketLink["near"]): Netstack => {
      const made = new Netstack({
        clock: this.clock,
        random: secrets,
        mtu,
        addresses: [address],
        output: end.send,
        tcp,
      });
      end.onPacket = (packet) => {
        const isCut = recut > 0 && random.fraction() < recut;
        const pieces = isCut ? cutInTwo(packet, random) : [packet];
        for (const piece of pieces) made.receive(piece);
      };
      return made;
    };
    this.near = stack(nearAddress, nearMtu, this.link.near);
    this.far = stack(farAddress, farMtu, this.link.far);
  }

  /** Lets time pass until something holds, for `limitMs` of it at most; tells whether it came to hold. */
  async until(condition: () => boolean, limitMs: number, stepMs = 1_000): Promise<boolean> {
    const endMs = this.clock.now() + limitMs;
    while (!condition() && this.clock.now() < endMs) await this.clock.advance(stepMs);
    return condition();
  }

  /** A connection from near to far, both ends; `undefined` where the network did not let it come to be. */
  async connect(): Promise<readonly [TcpConnection, TcpConnection] | undefined> {
    let accepted: TcpConnection | undefined;
    this.far.listen({ port: farPort }, {}, (connection) => {
      connection.on("error", () => undefined);
      accepted = connection;
    });
    let opened: TcpConnection | undefined;
    let failed = false;
    const attempt = this.near.connect({ address: farAddress, port: farPort });
    attempt.then(
      (connection) => {
        connection.on("error", () => undefined);
        opened = connection;
      },
      () => (failed = true),
    );
    await this.until(() => failed || (opened !== undefined && accepted !== undefined), 300_000);
    return opened === undefined || accepted === undefined ? undefined : [opened, accepted];
  }
}

/** What a segment carries as two that overlap, in either order; the packet itself if it carries too little. */
function cutInTwo(packet: Uint8Array, random: Random): Uint8Array[] {
  const ip = decodeIpv4(packet);
  const segment = typeof ip === "string" ? ip : decodeTcp(ip);
  if (typeof ip === "string" || typeof segment === "string") return [packet];
  const { payload, sequence, flags } = segment;
  if (payload.length < 2) return [packet];
  const [one, other] = [random.fraction(), random.fraction()].map((each) =>
    Math.floor(each * payload.length),
  );
  const [from, to] = [Math.min(one ?? 0, other ?? 0), Math.max(one ?? 0, other ?? 0)];
  const first = encodeTcp(ip, { ...segment, flags: flags & ~tcpFlag.fin }, [
    payload.subarray(0, to),
  ]);
  const second = encodeTcp(ip, { ...segment, sequence: sequence + from }, [payload.subarray(from)]);
  return random.fraction() < 0.5 ? [first, second] : [second, first];
}

/** How one end of a connection behaves. */
export interface Behaviour {
  readonly clock: Clock;
  /** What it sends follows from this. */
  readonly seed: number;
  readonly bytes: number;
  readonly chunkBytes: number;
  /** Milliseconds it takes to digest each chunk it reads. */
  readonly digestMs: number;
  /** Sends its FIN only when it has the other's. */
  readonly endsLast: boolean;
}

/** What became of one end. */
export interface Outcome {
  received: number;
  /** Where the first byte arrived that the peer had not written there. */
  wrongAt: number | undefined;
  ended: boolean;
  closed: boolean;
  /** Code of the error that ended it. */
  error: string | undefined;
}

/** Has one end send its bytes, and compares what it reads with what an end with `peerSeed` sends. */
export function converse(stream: TcpConnection, own: Behaviour, peerSeed: number): Outcome {
  const outcome: Outcome = {
    received: 0,
    wrongAt: undefined,
    ended: false,
    closed: false,
    error: undefined,
  };
  const expected = new Pattern(peerSeed);
  stream.on("data", (chunk: Uint8Array) => {
    const wrong = expected.mismatch(outcome.received, chunk);
    if (wrong !== undefined) outcome.wrongAt ??= outcome.received + wrong;
    outcome.received += chunk.length;
    // Whoever reads owns what was read: nobody must look at it, or send it, again.
    chunk.fill(0xdd);
    if (own.digestMs === 0) return;
    stream.pause();
    own.clock.setTimer(millis(own.digestMs), () => stream.resume());
  });
  const sending = new Sending(stream, own);
  stream.on("end", () => {
    outcome.ended = true;
    sending.peerEnded();
  });
  stream.on("error", (error: Error & { code?: string }) => {
    outcome.error = error.code ?? error.message;
  });
  stream.on("close", () => (outcome.closed = true));
  return outcome;
}

/** Writes an end's bytes with back-pressure, then FIN. */
class Sending {
  readonly #stream: TcpConnection;
  readonly #own: Behaviour;
  readonly #pattern: Pattern;
  #sent = 0;
  #mayEnd: boolean;

  constructor(stream: TcpConnection, own: Behaviour) {
    this.#stream = stream;
    this.#own = own;
    this.#pattern = new Pattern(own.seed);
    this.#mayEnd = !own.endsLast;
    this.#more();
  }

  peerEnded(): void {
    this.#mayEnd = true;
    this.#endIfDone();
  }

  #more(): void {
    const { bytes, chunkBytes } = this.#own;
    while (this.#sent < bytes && !this.#stream.destroyed) {
      const chunk = this.#pattern.slice(this.#sent, Math.min(chunkBytes, bytes - this.#sent));
      this.#sent += chunk.length;
      const room = this.#stream.write(chunk, (error) => {
        // What was taken is the writer's again: a stack that kept it would send this instead.
        if (!error) chunk.fill(0xee);
      });
      if (!room) {
        this.#stream.once("drain", () => this.#more());
        return;
      }
    }
    this.#endIfDone();
  }

  #endIfDone(): void {
    const done = this.#sent === this.#own.bytes && this.#mayEnd;
    if (done && this.#stream.writable) this.#stream.end();
  }
}

/** An endless row of bytes in which no stretch is like a neighbouring one. */
class Pattern {
  readonly #bytes: Uint8Array;

  constructor(seed: number) {
    this.#bytes = seededRandom(seed).bytes(patternBytes);
  }

  slice(start: number, length: number): Uint8Array {
    const slice = new Uint8Array(length);
    for (let at = 0; at < length;) {
      const from = (start + at) % patternBytes;
      const part = this.#bytes.subarray(from, from + length - at);
      slice.set(part, at);
      at += part.length;
    }
    return slice;
  }

  mismatch(start: number, chunk: Uint8Array): number | undefined {
    const expected = this.slice(start, chunk.length);
    if (Buffer.compare(expected, chunk) === 0) return undefined;
    return chunk.findIndex((byte, at) => byte !== expected[at]);
  }
}

/** A prime, so that no segment size divides it. */
const patternBytes = 65_537;
