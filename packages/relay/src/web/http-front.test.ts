import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { millis } from "@culvert/runtime";
import { duplexPair, VirtualClock, waitUntil } from "@culvert/testkit";
import { expect, it, onTestFinished } from "vitest";
import { HttpFront } from "./http-front.ts";
import { PublicClient } from "./public-client.ts";
import { webLimitDefaults } from "./web-options.ts";

/** A front with one client on it, who has a second for the first head and reads nothing before it is told to. */
function bench() {
  const clock = new VirtualClock();
  const asked: string[] = [];
  const refused: number[] = [];
  const handler = {
    request: ({ target }: { target: string }): void => void asked.push(target),
    upgrade: ({ exchange }: { exchange: { target: string } }): void => {
      asked.push(exchange.target);
    },
    refused: (status: number): void => void refused.push(status),
  };
  const front = new HttpFront(handler, clock, webLimitDefaults);
  const [ours, theirs] = duplexPair();
  const address = { family: "IPv4", address: "192.0.2.1", port: 1 };
  front.http1(ours, new PublicClient(new Socket(), address, address), millis(1_000));
  onTestFinished(() => {
    ours.destroy();
    front.close();
  });
  return { clock, asked, refused, ours, theirs };
}

async function heard(stream: Duplex): Promise<string> {
  let text = "";
  let over = false;
  stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
  for (const event of ["end", "close"]) stream.once(event, () => (over = true));
  await waitUntil(() => over, { what: "the end" });
  return text;
}

it.each([
  ["a request", ""],
  ["a WebSocket", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n"],
])(
  "%s that is whole after its time does not cut off the answer that says so",
  async (_, fields) => {
    const { clock, asked, refused, ours, theirs } = bench();
    theirs.write(`GET /late HTTP/1.1\r\nHost: app.example.com\r\n${fields}`);
    await clock.advance(1_000);
    expect(refused).toEqual([408]);
    let taken = false;
    theirs.write("\r\n", () => (taken = true));
    await waitUntil(() => taken, { what: "the rest of the head to be read" });
    await clock.advance(0);
    expect(ours.destroyed).toBe(false);
    expect(await heard(theirs)).toMatch(/^HTTP\/1\.1 408 [^]*<\/html>\n$/);
    expect(asked).toEqual([]);
    await clock.advance(1_000);
    expect(ours.destroyed).toBe(true);
  },
);
