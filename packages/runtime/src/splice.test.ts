import { once } from "node:events";
import { connect, createServer, Socket, type AddressInfo } from "node:net";
import { duplexPair, type Duplex, type Readable } from "node:stream";
import { afterEach, describe, expect, test } from "vitest";
import { TransportError } from "./errors.ts";
import { splice, type SpliceResult } from "./splice.ts";
import { tcpByteStream } from "./tcp-byte-stream.ts";

/** Two joined ends: what the application holds, and what is spliced. */
interface Ends {
  readonly outer: Duplex;
  readonly inner: Duplex;
}

/** `far left <-> left [splice] right <-> far right`. */
interface Hop {
  readonly farLeft: Duplex;
  readonly left: Duplex;
  readonly right: Duplex;
  readonly farRight: Duplex;
}

const opened: Duplex[] = [];

afterEach(() => {
  for (const stream of opened.splice(0)) stream.destroy();
});

for (const kind of [
  "duplex and duplex",
  "tcp and duplex",
  "duplex and tcp",
  "tcp and tcp",
] as const) {
  describe(`splice of ${kind}`, () => {
    const [leftKind, rightKind] = kind.split(" and ");

    async function hop(): Promise<Hop> {
      const left = leftKind === "tcp" ? await tcpEnds() : duplexEnds();
      const right = rightKind === "tcp" ? await tcpEnds() : duplexEnds();
      return { farLeft: left.outer, left: left.inner, right: right.inner, farRight: right.outer };
    }

    test("carries bytes both ways and counts them", async () => {
      const { farLeft, left, right, farRight } = await hop();
      const result = splice(left, right);
      farLeft.end(Buffer.alloc(300_000, 1));
      farRight.end(Buffer.alloc(70_000, 2));
      const [atRight, atLeft] = await Promise.all([contents(farRight), contents(farLeft)]);
      expect(atRight.equals(Buffer.alloc(300_000, 1))).toBe(true);
      expect(atLeft.equals(Buffer.alloc(70_000, 2))).toBe(true);
      expect(await settled(result)).toEqual({
        leftToRightBytes: 300_000,
        rightToLeftBytes: 70_000,
        failure: undefined,
      });
    });

    test("passes a half-close on and keeps the other direction", async () => {
      const { farLeft, left, right, farRight } = await hop();
      const result = splice(left, right);
      farLeft.end("request");
      expect(String(await contents(farRight))).toBe("request");
      for (let round = 0; round < 3; round += 1) {
        farRight.write("part");
        const [part] = (await once(farLeft, "data")) as [Buffer];
        expect(String(part)).toBe("part");
      }
      farRight.end();
      await once(farLeft, "end");
      expect((await settled(result)).failure).toBeUndefined();
    });

    test("passes an abort of the left on as an abort", async () => {
      const { farLeft, left, right, farRight } = await hop();
      const result = splice(left, right);
      await roundTrip(farLeft, farRight);
      const seen = endOrError(farRight);
      abort(farLeft);
      expect(await seen).toBe("error");
      expect((await settled(result)).failure?.side).toBe("left");
    });

    test("passes an abort of the right on as an abort", async () => {
      const { farLeft, left, right, farRight } = await hop();
      const result = splice(left, right);
      await roundTrip(farLeft, farRight);
      const seen = endOrError(farLeft);
      abort(farRight);
      expect(await seen).toBe("error");
      expect((await settled(result)).failure?.side).toBe("right");
    });

    test("holds the writer while the reader does not read", async () => {
      const { farLeft, left, right, farRight } = await hop();
      const progress = { leftToRightBytes: 0, rightToLeftBytes: 0 };
      const result = splice(left, right, progress);
      let written = 0;
      const chunk = Buffer.alloc(64 * 1024);
      const fill = (): void => {
        while (written < 64 * 1024 * 1024) {
          written += chunk.length;
          if (!farLeft.write(chunk)) return void farLeft.once("drain", fill);
        }
        farLeft.end();
      };
      fill();
      let before = -1;
      while (before !== progress.leftToRightBytes) {
        before = progress.leftToRightBytes;
        for (let turn = 0; turn < 200; turn += 1) await new Promise((next) => setImmediate(next));
      }
      // The system's socket buffers, where there are any, and those of two streams.
      expect(written).toBeLessThan(32 * 1024 * 1024);
      expect(right.writableLength).toBeLessThan(512 * 1024);
      let read = 0;
      farRight.on("data", (bytes: Buffer) => (read += bytes.length));
      farRight.end();
      farLeft.resume();
      await once(farRight, "end");
      expect(read).toBe(64 * 1024 * 1024);
      expect((await settled(result)).leftToRightBytes).toBe(read);
    });

    test("starts streams that were paused by hand", async () => {
      const { farLeft, left, right, farRight } = await hop();
      left.pause();
      right.pause();
      const result = splice(left, right);
      await roundTrip(farLeft, farRight);
      farLeft.end();
      farRight.end();
      farLeft.resume();
      farRight.resume();
      expect((await settled(result)).failure).toBeUndefined();
    });

    test("carries what was put back into a stream", async () => {
      const { farLeft, left, right, farRight } = await hop();
      farLeft.write("tip and more");
      const first = await firstChunk(left);
      left.unshift(first.subarray(3));
      const result = splice(left, right);
      farLeft.end(", and the rest");
      farRight.end();
      farLeft.resume();
      expect(String(await contents(farRight))).toBe(" and more, and the rest");
      expect((await settled(result)).leftToRightBytes).toBe(23);
    });

    test("passes on an end that was read before the splice", async () => {
      const { farLeft, left, right, farRight } = await hop();
      farLeft.end("tip");
      expect(String(await contents(left))).toBe("tip");
      const result = splice(left, right);
      expect((await contents(farRight)).length).toBe(0);
      farRight.end("answer");
      expect(String(await contents(farLeft))).toBe("answer");
      expect(await settled(result)).toEqual({
        leftToRightBytes: 0,
        rightToLeftBytes: 6,
        failure: undefined,
      });
    });

    test("a stream that is closed already is a failure of its side, and aborts the other", async () => {
      const { left, right, farRight } = await hop();
      left.destroy();
      await once(left, "close");
      const seen = endOrError(farRight);
      const { failure } = await settled(splice(left, right));
      expect(failure).toMatchObject({ side: "left", error: { message: "closed before its end" } });
      expect(await seen).toBe("error");
    });

    test("a stream that failed already keeps its error", async () => {
      const { left, right } = await hop();
      left.on("error", () => undefined);
      left.destroy(new Error("long ago"));
      await once(left, "close").catch(() => undefined);
      const { failure } = await settled(splice(left, right));
      expect(failure).toMatchObject({ side: "left", error: { message: "long ago" } });
    });

    test("a stream destroyed in this very turn is a failure of its side", async () => {
      const { left, right } = await hop();
      right.destroy(new Error("just now"));
      const { failure } = await settled(splice(left, right));
      expect(failure).toMatchObject({ side: "right", error: { message: "just now" } });
    });

    test("both streams closed already is still an answer", async () => {
      const { left, right } = await hop();
      left.destroy();
      right.destroy();
      await Promise.all([once(left, "close"), once(right, "close")]);
      expect((await settled(splice(left, right))).failure).toBeDefined();
    });

    test("the first failure is the one reported", async () => {
      const { left, right } = await hop();
      const result = splice(left, right);
      right.destroy(new Error("first"));
      left.destroy(new Error("second"));
      expect((await settled(result)).failure?.error.message).toBe("first");
    });

    test("a failure after one direction has ended is a failure", async () => {
      const { farLeft, left, right, farRight } = await hop();
      const result = splice(left, right);
      farLeft.end("all");
      expect(String(await contents(farRight))).toBe("all");
      left.destroy(new Error("gone"));
      expect((await settled(result)).failure).toMatchObject({ side: "left" });
      expect(right.destroyed).toBe(true);
    });

    test("takes its listeners away when it is over", async () => {
      const { farLeft, left, right, farRight } = await hop();
      const count = (): number[] =>
        [left, right].flatMap((stream) =>
          ["data", "drain", "close"].map((event) => stream.listenerCount(event)),
        );
      const before = count();
      const result = splice(left, right);
      farLeft.end();
      farRight.end();
      farLeft.resume();
      farRight.resume();
      await settled(result);
      count().forEach((listeners, index) => {
        expect(listeners).toBeLessThanOrEqual(before[index]!);
      });
      // Later errors of a dead stream must not end the process.
      expect(left.emit("error", new Error("late"))).toBe(true);
    });
  });
}

test("a splice tells its progress while it runs", async () => {
  const a = duplexEnds();
  const b = duplexEnds();
  const progress = { leftToRightBytes: 0, rightToLeftBytes: 0 };
  const result = splice(a.inner, b.inner, progress);
  await roundTrip(a.outer, b.outer);
  expect(progress).toEqual({ leftToRightBytes: 4, rightToLeftBytes: 4 });
  abort(a.outer);
  expect(await settled(result)).toMatchObject(progress);
});

test("a TCP peer that is slow to read still sees RST, not FIN, when the other side fails", async () => {
  const tcp = await tcpEnds();
  const other = duplexEnds();
  const result = splice(other.inner, tcp.inner);
  const socket = tcp.outer;
  other.outer.write("partial");
  await once(socket, "data");
  const seen = endOrError(socket);
  abort(other.outer);
  expect(await seen).toBe("error");
  expect((await settled(result)).failure?.side).toBe("left");
});

function duplexEnds(): Ends {
  const [outer, inner] = duplexPair();
  // Node's pair knows FIN only; QUIC streams and sockets also know resets.
  const join = (one: Duplex, other: Duplex): void => {
    one.once("close", () => {
      if (one.readableEnded && one.writableFinished) return;
      other.destroy(new TransportError("stream_reset", "reset by the other end"));
    });
  };
  join(outer, inner);
  join(inner, outer);
  outer.on("error", () => undefined);
  opened.push(outer, inner);
  return { outer, inner };
}

async function tcpEnds(): Promise<{ outer: Socket; inner: Socket }> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const { port } = server.address() as AddressInfo;
  const outer = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const [[inner]] = await Promise.all([accepted, once(outer, "connect")]);
  server.close();
  outer.on("error", () => undefined);
  opened.push(outer, inner);
  return { outer, inner: tcpByteStream(inner) };
}

function abort(stream: Duplex): void {
  if (stream instanceof Socket) stream.resetAndDestroy();
  else stream.destroy(new Error("aborted"));
}

async function contents(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(stream, "end");
  return Buffer.concat(chunks);
}

async function firstChunk(stream: Readable): Promise<Buffer> {
  await once(stream, "readable");
  return stream.read() as Buffer;
}

async function roundTrip(one: Duplex, other: Duplex): Promise<void> {
  one.write("ping");
  await once(other, "data");
  other.write("pong");
  await once(one, "data");
}

function endOrError(stream: Duplex): Promise<"end" | "error"> {
  return new Promise((resolve) => {
    stream.once("end", () => resolve("end"));
    stream.once("error", () => resolve("error"));
    stream.resume();
  });
}

/** A splice that hangs fails the test by name, not by vitest's limit. */
async function settled(result: Promise<SpliceResult>): Promise<SpliceResult> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("the splice did not end")), 5_000);
  });
  return Promise.race([result, late]).finally(() => clearTimeout(timer));
}
