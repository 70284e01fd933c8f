import { describe, expect, test } from "vitest";
import { millis } from "@culvert/runtime";
import { seededRandom, VirtualClock } from "@culvert/testkit";
import type { TcpConnection } from "../tcp/tcp-connection.ts";
import { ConnectionSecrets } from "./connection-secrets.ts";
import { Netstack } from "./netstack.ts";

const [nearAddress, farAddress] = ["10.0.0.1", "10.0.0.2"];
const ends = { address: farAddress, port: 80 };
const timeoutMs = millis(10_000);

/** A stack that connects and one that ends each connection first, and so remembers it in TIME-WAIT. */
class Pair {
  readonly clock = new VirtualClock();
  readonly #random = seededRandom(7);
  readonly far = this.#make(farAddress, () => this.near);
  near = this.#make(nearAddress, () => this.far);

  constructor() {
    this.far.listen({ port: 80 }, {}, (connection) => {
      connection.on("error", () => undefined);
      connection.resume().end();
    });
  }

  /** The machine of the near stack begins anew and knows nothing of before. */
  restartNear(): void {
    this.near = this.#make(nearAddress, () => this.far);
  }

  /** Connects from always the same port, closes again, and gives how long the handshake took. */
  async connectOnce(): Promise<number> {
    const before = this.clock.now();
    let opened: TcpConnection | undefined;
    let failure: unknown;
    this.near.connect(ends, { local: { port: 20_000 }, timeoutMs }).then(
      (connection) => (opened = connection),
      (error: unknown) => (failure = error),
    );
    while (opened === undefined && failure === undefined) await this.clock.advance(10);
    if (opened === undefined) throw failure;
    const tookMs = this.clock.now() - before;
    opened.resume().end();
    while (this.near.stats().tcp.connections > 0) await this.clock.advance(10);
    return tookMs;
  }

  #make(address: string, other: () => Netstack): Netstack {
    return new Netstack({
      clock: this.clock,
      random: this.#random,
      addresses: [address],
      output: (packet) => other().receive(packet),
    });
  }
}

describe("endpoints whose last connection the peer still remembers", () => {
  test("connect at once, again and again", async () => {
    const pair = new Pair();
    for (let round = 0; round < 50; round += 1) expect(await pair.connectOnce()).toBeLessThan(100);
    expect(pair.far.stats().tcp.timeWait).toBe(1);
  });

  test("connect after one more SYN at most when the machine has begun anew", async () => {
    const pair = new Pair();
    for (let round = 0; round < 50; round += 1) {
      expect(await pair.connectOnce()).toBeLessThan(1_500);
      pair.restartNear();
    }
  });
});

test("the numbers of one pair of endpoints grow with the time, so that any peer takes the next connection for a later one", () => {
  const secrets = new ConnectionSecrets(seededRandom(7));
  const tuple = { localAddress: 1, localPort: 2, remoteAddress: 3, remotePort: 4 };
  const first = secrets.next(tuple, 1_000).initialSequence;
  const grown = (atMs: number): number => (secrets.next(tuple, atMs).initialSequence - first) >>> 0;
  expect([grown(1_000), grown(1_001), grown(61_000)]).toEqual([0, 250, 15_000_000]);
  // To others they say nothing (RFC 6528 §3).
  const other = secrets.next({ ...tuple, localPort: 5 }, 1_000).initialSequence;
  expect(Math.abs(other - first)).toBeGreaterThan(1_000_000);
});
