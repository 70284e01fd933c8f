import type { Duplex } from "node:stream";
import { duplexPair, VirtualClock } from "@culvert/testkit";
import { describe, expect, it } from "vitest";
import { HttpForwarder } from "./http-forwarder.ts";

const name = "app.example.com";
const get = `GET / HTTP/1.1\r\nHost: ${name}\r\n\r\n`;
const upgrade = get.replace("\r\n\r\n", "\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
const post = `POST / HTTP/1.1\r\nHost: ${name}\r\nContent-Length: 1000\r\n\r\n`;

/** A visitor on a stream that knows no time-outs, as streams of tunnels do not, and a service that says what the test writes. */
function connect() {
  const clock = new VirtualClock();
  const [visitor, ours] = duplexPair();
  const services: Duplex[] = [];
  let heard = "";
  visitor.on("data", (chunk: Buffer) => (heard += chunk.toString()));
  void new HttpForwarder(clock).serve(ours, {
    ...{ clientAddress: "203.0.113.7", name, scheme: "http", tellsOrigin: true, where: "there" },
    dial: () => {
      const [near, far] = duplexPair();
      services.push(far.resume());
      return Promise.resolve(near);
    },
    exchange: () => undefined,
    unreachable: () => undefined,
  });
  return {
    ...{ clock, visitor },
    heard: () => heard,
    /** Writes what the service says on its newest connection. */
    answer: (text: string) => void services.at(-1)?.write(text),
    /** The same, and it ends the connection then. */
    answerAll: (text: string) => void services.at(-1)?.end(text),
    /** Whether the connection lasts so long and no millisecond longer. */
    endsIn: async (ms: number): Promise<boolean> => {
      await clock.advance(ms - 1);
      if (ours.destroyed) return false;
      await clock.advance(1);
      return ours.destroyed;
    },
  };
}

describe("a connection whose requests are forwarded", () => {
  it("ends when the head of its first request takes longer than 30 s, however its bytes drip", async () => {
    const { clock, visitor, endsIn } = connect();
    visitor.write(get.slice(0, 5));
    await clock.advance(20_000);
    visitor.write(get.slice(5, 10));
    expect(await endsIn(10_000)).toBe(true);
  });

  it("ends when no other request comes within 75 s of an answer, however its head drips", async () => {
    const { clock, visitor, answerAll, heard, endsIn } = connect();
    for (const body of ["one", "two"]) {
      visitor.write(get);
      await clock.advance(1_000);
      answerAll(`HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\n${body}`);
      await clock.advance(100);
      expect(heard()).toMatch(new RegExp(`${body}$`));
      if (body === "one") await clock.advance(74_000);
    }
    visitor.write(get.slice(0, 5));
    expect(await endsIn(74_900)).toBe(true);
  });

  it("ends when a request and its answer have been silent for 300 s, and each byte of either counts", async () => {
    const { clock, visitor, answer, endsIn } = connect();
    visitor.write(post);
    await clock.advance(299_000);
    visitor.write("a byte");
    await clock.advance(299_000);
    answer("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    await clock.advance(299_000);
    answer("a byte");
    expect(await endsIn(300_000)).toBe(true);
  });

  it("ends when a visitor takes nothing of an answer for 300 s", async () => {
    const { clock, visitor, answer, endsIn } = connect();
    visitor.write(get);
    await clock.advance(0);
    visitor.pause();
    answer(`HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n${"x".repeat(1_000_000)}`);
    await clock.advance(0);
    expect(await endsIn(300_000)).toBe(true);
  });

  it("lasts once it is upgraded, however silent, and not while the service has not said so", async () => {
    const silent = connect();
    silent.visitor.write(upgrade);
    await silent.clock.advance(0);
    expect(await silent.endsIn(300_000)).toBe(true);
    const { clock, visitor, answer, heard } = connect();
    visitor.write(upgrade);
    await clock.advance(0);
    answer("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
    await clock.advance(86_400_000);
    answer("good morning");
    await clock.advance(0);
    expect(heard()).toMatch(/good morning$/);
    expect(clock.pendingTimers).toBe(0);
  });

  it.each([
    ["what is no request", "rubbish\r\n\r\n", 400],
    ["an upgrade to h2c", upgrade.replace("Upgrade: x", "Upgrade: h2c"), 501],
    ["an upgrade for another host", upgrade.replace(name, "other"), 421],
  ])("ends 5 s after the answer to %s, whatever the visitor does", async (_what, said, status) => {
    const { clock, visitor, heard, endsIn } = connect();
    visitor.write(said);
    await clock.advance(0);
    expect(heard()).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(await endsIn(5_000)).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });
});
