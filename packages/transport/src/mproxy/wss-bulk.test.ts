import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { splice, tcpByteStream, type ByteStream } from "@culvert/runtime";
import { readPayload, waitUntil, within, writePayload } from "@culvert/testkit";
import { afterEach, describe, expect, test } from "vitest";
import type { Session } from "../session.ts";
import { certificateFor, tlsEndingProxy } from "./tls-proxy.test-data.ts";
import { dialOnce, listenLocally, nextSession } from "./wss-pair.test-data.ts";

const opened: { close(): Promise<void> | void }[] = [];

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

/** Both ends of a session, and streams between them. */
class Pair {
  readonly dialled: Session;
  readonly accepted: Session;
  readonly #atDialled: AsyncIterator<ByteStream>;
  readonly #atAccepted: AsyncIterator<ByteStream>;

  constructor(dialled: Session, accepted: Session) {
    this.dialled = dialled;
    this.accepted = accepted;
    this.#atDialled = dialled.streams[Symbol.asyncIterator]();
    this.#atAccepted = accepted.streams[Symbol.asyncIterator]();
  }

  /** Opens a stream at one end; `near` is that end's. */
  async open(up: boolean): Promise<{ near: ByteStream; far: ByteStream }> {
    const near = await (up ? this.dialled : this.accepted).openStream();
    const next = (up ? this.#atAccepted : this.#atDialled).next();
    const far = await within(next, { what: "the stream at the other end" });
    if (far.done === true) throw new Error("the session ended");
    for (const stream of [near, far.value]) stream.on("error", () => undefined);
    return { near, far: far.value };
  }
}

async function overTls(): Promise<Pair> {
  const listener = await listenLocally();
  opened.push(listener);
  const dialling = dialOnce({ relay: listener.address });
  return new Pair(...(await Promise.all([dialling, nextSession(listener)])));
}

/** With masks that are not nought, and without TLS at the end that listens. */
async function behindProxy(): Promise<Pair> {
  const listener = await listenLocally({ certificate: "none" });
  const certificate = await certificateFor("127.0.0.1");
  const proxy = await tlsEndingProxy(listener.address, { ...certificate, onwards: "clear" });
  opened.push(listener, proxy);
  const how = { behindProxy: true, ca: certificate.cert };
  const dialling = dialOnce({ relay: proxy.address, ...how });
  return new Pair(...(await Promise.all([dialling, nextSession(listener)])));
}

/** Writes as fast as it may, without end. */
function pour(stream: ByteStream): void {
  const chunk = Buffer.alloc(64 * 1024, 7);
  const fill = (): void => {
    while (!stream.destroyed && stream.write(chunk));
  };
  stream.on("drain", fill);
  fill();
}

function count(stream: ByteStream): { bytes: number } {
  const counted = { bytes: 0 };
  stream.on("data", (chunk: Uint8Array) => (counted.bytes += chunk.length));
  return counted;
}

const ways = [
  ["over TLS", overTls],
  ["behind a proxy that ends TLS", behindProxy],
] as const;

describe.each(ways)("bulk by WebSocket %s", (_where, connectPair) => {
  test.each([
    ["up", true],
    ["down", false],
  ])("%s: 16 streams that send without end share the session evenly", async (_way, up) => {
    const pair = await connectPair();
    const counts: { bytes: number }[] = [];
    for (let index = 0; index < 16; index += 1) {
      const { near, far } = await pair.open(up);
      counts.push(count(far));
      pour(near);
    }
    const before = counts.map(({ bytes }) => bytes);
    const since = (): number[] => counts.map(({ bytes }, index) => bytes - (before[index] ?? 0));
    const sum = (): number => since().reduce((all, bytes) => all + bytes, 0);
    await waitUntil(() => sum() >= 24 * mebibyte, { limitMs: 15_000, what: "24 MiB" });
    const mean = sum() / counts.length;
    for (const bytes of since()) {
      expect(bytes).toBeGreaterThan(0.7 * mean);
      expect(bytes).toBeLessThan(1.4 * mean);
    }
  });

  test("a stream that ends one direction goes on in the other while others send without end both ways", async () => {
    const pair = await connectPair();
    const bulk: { bytes: number }[] = [];
    for (const up of [true, false]) {
      const { near, far } = await pair.open(up);
      bulk.push(count(far), count(near));
      pour(near);
      pour(far);
    }
    for (const up of [true, false]) {
      const { near, far } = await pair.open(up);
      near.end("last words");
      const heard = await within(readPayload(far), { what: "the end of one direction" });
      expect(heard.bytes).toBe(10);
      const reading = readPayload(near);
      const [sent, got] = await within(Promise.all([writePayload(far, 1_000_000, 3), reading]), {
        limitMs: 15_000,
        what: "the other direction",
      });
      expect(got).toEqual(sent);
    }
    for (const counted of bulk) {
      const so = counted.bytes;
      await waitUntil(() => counted.bytes > so, { what: "more of the bulk" });
    }
  });
});

test("bytes that pass from TCP through two sessions by WebSocket to TCP are the same, both ways at once", async () => {
  const [one, two] = [await overTls(), await behindProxy()];
  const [client, entrance] = await tcpPair();
  const [exit, service] = await tcpPair();
  const [first, second] = [await one.open(true), await two.open(false)];
  const hops = [
    splice(tcpByteStream(entrance), first.near),
    splice(first.far, second.near),
    splice(second.far, tcpByteStream(exit)),
  ];
  const results = Promise.all([
    writePayload(client, 6 * mebibyte + 1, 1),
    readPayload(service),
    writePayload(service, 6 * mebibyte + 2, 2),
    readPayload(client),
  ]);
  const [up, upRead, down, downRead] = await within(results, {
    limitMs: 15_000,
    what: "all of it",
  });
  expect([upRead, downRead]).toEqual([up, down]);
  for (const hop of await Promise.all(hops)) expect(hop.failure).toBeUndefined();
});

async function tcpPair(): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const near = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const [[far]] = (await Promise.all([once(server, "connection"), once(near, "connect")])) as [
    [Socket],
    unknown,
  ];
  server.close();
  for (const socket of [near, far]) {
    socket.on("error", () => undefined);
    opened.push({ close: () => void socket.destroy() });
  }
  return [near, far];
}

const mebibyte = 1024 * 1024;
