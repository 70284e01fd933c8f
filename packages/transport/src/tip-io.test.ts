import { once } from "node:events";
import net from "node:net";
import { Duplex, duplexPair, type DuplexOptions } from "node:stream";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { millis, splice, systemClock, TransportError, type ByteStream } from "@culvert/runtime";
import { readBytes, VirtualClock, within } from "@culvert/testkit";
import { encodeTip, type Answer, type Connect, type Tip } from "@culvert/wire";
import { readTip, writeTip } from "./tip-io.ts";

const connect: Connect = {
  kind: "connect",
  server: "lan-box",
  target: "ssh",
  traceId: new Uint8Array(16).fill(0xab),
  clientPort: 50_112,
  inner: new Uint8Array([1, 2, 3]),
};
const answer: Answer = {
  kind: "answer",
  status: 100,
  text: "",
  limit: "",
  inner: new Uint8Array(),
};
const deadline = millis(5_000);

/** A stream whose incoming side the test pushes, in whichever pieces and ticks it wants. */
function pushedStream(options: DuplexOptions = {}): Duplex {
  const stream = new Duplex({
    allowHalfOpen: true,
    read: () => undefined,
    write: (_chunk, _encoding, done) => done(),
    ...options,
  });
  stream.on("error", () => undefined);
  return stream;
}

function read(stream: ByteStream, signal?: AbortSignal): Promise<Tip> {
  return readTip(stream, { clock: new VirtualClock(), deadline, signal });
}

function listeners(stream: Duplex): Record<string, number> {
  return Object.fromEntries(
    stream.eventNames().map((name) => [String(name), stream.listenerCount(name)]),
  );
}

/** Lets everything that follows from what has happened happen. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function turns(count = 4): Promise<void> {
  for (let index = 0; index < count; index += 1) await turn();
}

function concat(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

/** Ways a connection's bytes are read after its tip; each resolves with all of them once FIN was seen. */
const readers: Readonly<Record<string, (stream: Duplex) => Promise<Uint8Array>>> = {
  "'data' events": async (stream) => {
    const parts: Uint8Array[] = [];
    stream.on("data", (part: Uint8Array) => parts.push(part));
    await once(stream, "end");
    return concat(...parts);
  },
  "'readable' events": async (stream) => {
    const parts: Uint8Array[] = [];
    stream.on("readable", () => {
      for (;;) {
        const part: unknown = stream.read();
        if (!(part instanceof Uint8Array)) return;
        parts.push(part);
      }
    });
    await once(stream, "end");
    return concat(...parts);
  },
  iteration: async (stream) => {
    const parts: Uint8Array[] = [];
    for await (const part of stream) parts.push(part as Uint8Array);
    return concat(...parts);
  },
  "pipe()": async (stream) => {
    const [near, far] = duplexPair();
    far.on("error", () => undefined);
    stream.pipe(near);
    return readers["'data' events"]!(far);
  },
  "splice()": async (stream) => {
    const [near, far] = duplexPair({ allowHalfOpen: true });
    const spliced = splice(stream, near);
    far.end();
    const bytes = await readers["'data' events"]!(far);
    const result = await spliced;
    expect(result).toMatchObject({ failure: undefined, leftToRightBytes: bytes.length });
    return bytes;
  },
};
const readerNames = Object.keys(readers);

describe("readTip", () => {
  it("reads a tip, leaves no listener behind and does not make the stream flow", async () => {
    const stream = pushedStream();
    const before = listeners(stream);
    const reading = read(stream);
    stream.push(encodeTip(connect));
    expect(await reading).toEqual(connect);
    expect(listeners(stream)).toEqual(before);
    stream.push("later");
    await turns();
    expect(stream.readableFlowing).not.toBe(true);
    expect(stream.readableLength).toBe(5);
  });

  it("reads a tip that was there before the call", async () => {
    const stream = pushedStream();
    stream.push(encodeTip(connect));
    await turns();
    expect(await read(stream)).toEqual(connect);
  });

  it.each(readerNames)("leaves to %s what follows, with FIN, all in one chunk", async (name) => {
    const stream = pushedStream();
    stream.push(concat(encodeTip(connect), new Uint8Array([7, 8, 9])));
    stream.push(null);
    expect(await read(stream)).toEqual(connect);
    expect(await within(readers[name]!(stream), { what: "the end" })).toEqual(
      new Uint8Array([7, 8, 9]),
    );
  });

  it.each(readerNames)(
    "leaves to %s a FIN that came with the tip, and nothing else",
    async (name) => {
      const stream = pushedStream();
      const reading = read(stream);
      stream.push(encodeTip(connect));
      stream.push(null);
      await reading;
      // Nobody listens yet; an end that is told now would be told to nobody.
      await turns();
      expect(stream.readableEnded).toBe(false);
      expect(await within(readers[name]!(stream), { what: "the end" })).toEqual(new Uint8Array());
    },
  );

  it.each(readerNames)("leaves to %s a FIN that comes before anybody reads on", async (name) => {
    const stream = pushedStream();
    stream.push(encodeTip(connect));
    await read(stream);
    await turns();
    stream.push(null);
    await turns();
    expect(stream.readableEnded).toBe(false);
    expect(await within(readers[name]!(stream), { what: "the end" })).toEqual(new Uint8Array());
  });

  it.each(readerNames)("leaves to %s what comes later", async (name) => {
    const stream = pushedStream();
    stream.push(concat(encodeTip(connect), new Uint8Array([1])));
    await read(stream);
    await turns();
    stream.push(new Uint8Array([2]));
    const reading = readers[name]!(stream);
    await turns();
    stream.push(new Uint8Array([3]));
    stream.push(null);
    expect(await within(reading, { what: "the end" })).toEqual(new Uint8Array([1, 2, 3]));
  });

  it("leaves the stream so that resume() drains it to its end", async () => {
    const stream = pushedStream();
    stream.push(concat(encodeTip(answer), new Uint8Array(9)));
    stream.push(null);
    await read(stream);
    stream.resume();
    await within(once(stream, "end"), { what: "the end" });
  });

  it("reads one tip after the other from the same chunk", async () => {
    const stream = pushedStream();
    stream.push(concat(encodeTip(connect), encodeTip(answer), new Uint8Array([5])));
    stream.push(null);
    expect(await read(stream)).toEqual(connect);
    expect(await read(stream)).toEqual(answer);
    expect(await readers["'data' events"]!(stream)).toEqual(new Uint8Array([5]));
  });

  it("reads a tip whose bytes come one by one, each in a turn of its own", async () => {
    const stream = pushedStream();
    const reading = read(stream);
    for (const byte of encodeTip(connect)) {
      stream.push(new Uint8Array([byte]));
      await turn();
    }
    expect(await reading).toEqual(connect);
  });

  it("takes a stream that was paused", async () => {
    const stream = pushedStream();
    stream.pause();
    stream.push(concat(encodeTip(connect), new Uint8Array([4])));
    stream.push(null);
    expect(await read(stream)).toEqual(connect);
    expect(await readers["'data' events"]!(stream)).toEqual(new Uint8Array([4]));
  });

  it("leaves a large backlog where it is, and the high-water mark as it was", async () => {
    const backlog = new Uint8Array(1024 * 1024).fill(3);
    for (const readableHighWaterMark of [1, 64, 65_536]) {
      const stream = pushedStream({ readableHighWaterMark });
      stream.push(concat(encodeTip(connect), backlog));
      stream.push(null);
      expect(await read(stream)).toEqual(connect);
      expect(stream.readableLength).toBe(backlog.length);
      expect(stream.readableHighWaterMark).toBe(readableHighWaterMark);
      expect(Buffer.compare(await readers["'data' events"]!(stream), backlog)).toBe(0);
    }
  });

  it("delivers every byte, however split and whoever reads on", async () => {
    const pieces = fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 30 });
    const tail = fc.uint8Array({ maxLength: 200 });
    const options = fc.record({ readableHighWaterMark: fc.constantFrom(1, 10, 16_384) });
    await fc.assert(
      fc.asyncProperty(
        pieces,
        tail,
        options,
        fc.constantFrom(...readerNames),
        fc.array(fc.boolean(), { minLength: 31, maxLength: 31 }),
        fc.boolean(),
        async (sizes, after, duplexOptions, reader, waits, lateReader) => {
          const stream = pushedStream(duplexOptions);
          const bytes = concat(encodeTip(connect), after);
          const done = read(stream).then(async (tip) => {
            expect(tip).toEqual(connect);
            if (lateReader) await turns(2);
            return readers[reader]!(stream);
          });
          for (let offset = 0, index = 0; offset < bytes.length; index += 1) {
            const size = sizes[index] ?? bytes.length;
            stream.push(bytes.slice(offset, offset + size));
            offset += size;
            if (waits[index % waits.length] === true) await turn();
          }
          stream.push(null);
          expect(await within(done, { what: `the end for ${reader}` })).toEqual(after);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("works on both ends of a pair, with half-close", async () => {
    const [near, far] = duplexPair({ allowHalfOpen: true });
    writeTip(near, connect);
    near.end("and more");
    expect(await read(far)).toEqual(connect);
    writeTip(far, answer);
    far.end();
    expect(await read(near)).toEqual(answer);
    expect(Buffer.from(await readers["'data' events"]!(far)).toString()).toBe("and more");
    expect(await readers["'data' events"]!(near)).toEqual(new Uint8Array());
  });

  it("works on TCP sockets, spliced into an echo", async () => {
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", () => undefined);
      void (async () => {
        const tip = await readTip(socket, { clock: systemClock, deadline });
        if (tip.kind !== "connect") return socket.destroy();
        const [near, far] = duplexPair({ allowHalfOpen: true });
        far.pipe(far);
        writeTip(socket, answer);
        return splice(socket, near);
      })();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as net.AddressInfo;
    const client = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    const payload = new Uint8Array(300_000).map((_, index) => index * 7);
    client.write(concat(encodeTip(connect), payload.subarray(0, 1_000)));
    client.end(payload.subarray(1_000));
    expect(await readTip(client, { clock: systemClock, deadline })).toEqual(answer);
    const echoed = await within(readers["'data' events"]!(client), { what: "the echo" });
    expect(Buffer.compare(echoed, payload)).toBe(0);
    server.close();
    await once(server, "close");
  });
});

describe("readTip, when no tip comes", () => {
  /** Checks how the reading fails, and that the stream is given back as it was. */
  async function failure(
    stream: Duplex,
    act: (reading: Promise<Tip>) => unknown,
  ): Promise<unknown> {
    const before = listeners(stream);
    const reading = read(stream);
    const settled = reading.then(
      () => new Error("a tip was read"),
      (error: unknown) => error,
    );
    await act(reading);
    const error = await within(settled, { what: "a failure" });
    expect(listeners(stream)).toEqual(before);
    return error;
  }

  it.each([0, 1, 2, 20])("tells of FIN after %d bytes", async (count) => {
    const stream = pushedStream();
    const error = await failure(stream, () => {
      if (count > 0) stream.push(encodeTip(connect).slice(0, count));
      stream.push(null);
    });
    expect(error).toMatchObject({ name: "WireError", code: "truncated" });
  });

  it("tells of FIN that was read before the call", async () => {
    const stream = pushedStream();
    stream.push(null);
    stream.resume();
    await once(stream, "end");
    expect(await failure(stream, () => undefined)).toMatchObject({ code: "truncated" });
  });

  it.each([0, 20])(
    "passes on the error of a stream that is destroyed after %d bytes",
    async (count) => {
      const stream = pushedStream();
      const reset = new TransportError("stream_reset", "the peer reset the stream");
      const error = await failure(stream, async () => {
        if (count > 0) stream.push(encodeTip(connect).slice(0, count));
        await turn();
        stream.destroy(reset);
      });
      expect(error).toBe(reset);
    },
  );

  it("passes on the error of a stream that was destroyed before, just now or long ago", async () => {
    const reset = new TransportError("stream_reset", "the peer reset the stream");
    const justNow = pushedStream();
    justNow.destroy(reset);
    expect(await failure(justNow, () => undefined)).toBe(reset);
    const longAgo = pushedStream();
    longAgo.destroy(reset);
    await turns();
    expect(longAgo.closed).toBe(true);
    expect(await failure(longAgo, () => undefined)).toBe(reset);
  });

  it("tells of a stream that is destroyed without an error", async () => {
    const stream = pushedStream();
    const error = await failure(stream, () => stream.destroy());
    expect(error).toMatchObject({ name: "TransportError", code: "stream_reset" });
  });

  it("gives up at the deadline, which trickling bytes do not extend", async () => {
    const clock = new VirtualClock();
    const stream = pushedStream();
    const before = listeners(stream);
    const reading = readTip(stream, { clock, deadline });
    const settled = expect(reading).rejects.toMatchObject({
      name: "TransportError",
      code: "timeout",
    });
    for (const byte of encodeTip(connect).slice(0, 9)) {
      stream.push(new Uint8Array([byte]));
      await clock.advance(500);
    }
    expect(clock.pendingTimers).toBe(1);
    await clock.advance(500);
    await settled;
    expect(listeners(stream)).toEqual(before);
    expect(stream.destroyed).toBe(false);
  });

  it("holds no timer once a tip was read", async () => {
    const clock = new VirtualClock();
    const stream = pushedStream();
    stream.push(encodeTip(connect));
    await readTip(stream, { clock, deadline });
    expect(clock.pendingTimers).toBe(0);
  });

  it("ends with its signal, and does not begin with one that is aborted", async () => {
    for (const abortFirst of [true, false]) {
      const controller = new AbortController();
      const stream = pushedStream();
      const before = listeners(stream);
      if (abortFirst) controller.abort();
      const settled = expect(read(stream, controller.signal)).rejects.toMatchObject({
        code: "aborted",
      });
      controller.abort();
      await settled;
      expect(listeners(stream)).toEqual(before);
    }
  });

  it.each([
    ["garbage", Buffer.from("GET / HTTP/1.1\r\n\r\n"), "unsupported_version"],
    ["a length that never ends", Buffer.from("01808080", "hex"), "bad_varint"],
    ["a length above the cap", Buffer.from("01ffff7f", "hex"), "frame_too_large"],
    ["an empty message", Buffer.from("0100", "hex"), "unexpected_message"],
    ["a message that is none", Buffer.from("0103ffffff", "hex"), "malformed_message"],
  ])("refuses %s as soon as it can be known", async (_, bytes, code) => {
    const stream = pushedStream();
    const error = await failure(stream, async () => {
      for (const byte of bytes) {
        stream.push(new Uint8Array([byte]));
        await turn();
      }
    });
    expect(error).toMatchObject({ name: "WireError", code });
  });

  it("can still be answered", async () => {
    const [near, far] = duplexPair({ allowHalfOpen: true });
    near.write("GET / HTTP/1.1\r\n\r\n");
    await expect(read(far)).rejects.toMatchObject({ code: "unsupported_version" });
    const refusal: Answer = { ...answer, status: 401, text: "version 71" };
    writeTip(far, refusal);
    expect(await read(near)).toEqual(refusal);
  });
});

describe("writeTip", () => {
  it("writes the frame and nothing else", async () => {
    const [near, far] = duplexPair();
    writeTip(near, connect);
    const frame = encodeTip(connect);
    expect(new Uint8Array(await readBytes(far, frame.length))).toEqual(frame);
    expect(far.readableLength).toBe(0);
  });

  it("writes nothing of a tip that may not be sent", () => {
    const stream = pushedStream();
    expect(() => writeTip(stream, { ...connect, server: "LAN box" })).toThrow(/lower case/);
    expect(stream.writableLength).toBe(0);
    expect(stream.destroyed).toBe(false);
  });
});
