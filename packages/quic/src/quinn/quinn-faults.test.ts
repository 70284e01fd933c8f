import { once } from "node:events";
import { generateIdentity } from "@culvert/identity";
import { millis } from "@culvert/runtime";
import { VirtualClock, within } from "@culvert/testkit";
import { describe, expect, it } from "vitest";
import { quicDefaults, type EngineWarning } from "../index.ts";
import type { NativeConnection, NativeServer, NativeStream } from "./addon.ts";
import { QuinnListener } from "./quinn-listener.ts";
import { QuinnStream } from "./quinn-stream.ts";

/*
 * What the addon is not known to do, or does only when it is broken: stand-ins take its place, since the real one cannot be made to.
 */

const never = new Promise<never>(() => undefined);

/** A stream whose FIN fails. */
function streamThatCannotFinish(text: string): QuinnStream {
  const native: NativeStream = {
    id: () => "0",
    read: () => never,
    write: () => Promise.resolve(),
    finishWrite: () => Promise.reject(new Error(text)),
    resetWrite: () => Promise.resolve(),
    stopRead: () => Promise.resolve(),
  };
  return new QuinnStream(native, { moved: () => undefined, released: () => undefined }, 0);
}

describe("a FIN that fails", () => {
  it.each([
    ["sending stopped by peer: error 0", "stream_stopped"],
    ["closed stream", "engine_fault"],
  ])("is no end: %s", async (text, code) => {
    const stream = streamThatCannotFinish(text);
    const closed = new Promise((resolve) => stream.once("close", resolve));
    stream.end("last words");
    await within(closed, { what: "the end" });
    expect(stream.errored).toMatchObject({ code });
    expect(stream.writableFinished).toBe(false);
  });

  it("waits for the connection to tell why it is over", async () => {
    const stream = streamThatCannotFinish("connection lost");
    const failed = once(stream, "error");
    stream.end("last words");
    await new Promise((resolve) => setImmediate(resolve));
    expect(stream.writableFinished).toBe(false);
    const over = new Error("over");
    stream.destroy(over);
    expect(await within(failed, { what: "the end" })).toEqual([over]);
    expect(stream.writableFinished).toBe(false);
  });

  it("ends the sending part only, where somebody listens for a stop", async () => {
    const stream = streamThatCannotFinish("sending stopped by peer: error 0");
    const told = once(stream, "peerreset");
    stream.end("last words");
    expect(await within(told, { what: "the stop" })).toEqual([{ direction: "sending", code: 0 }]);
    expect(stream.destroyed).toBe(false);
    stream.destroy();
  });
});

/** A listener on a port whose acceptances do what `accept` does. */
function setUpListener(accept: () => Promise<NativeConnection>) {
  const clock = new VirtualClock();
  const warnings: EngineWarning[] = [];
  let asked = 0;
  const native: NativeServer = {
    port: () => 30380,
    inboundConnection: () => {
      asked += 1;
      return accept();
    },
    abort: () => Promise.resolve(),
    stats: () => ({ acceptedHandshakes: 0, refusedHandshakes: 0, ignoredHandshakes: 0 }),
  };
  const listener = new QuinnListener(
    native,
    { clock, warn: (warning) => warnings.push(warning) },
    {
      address: { host: "127.0.0.1", port: 0 },
      identity: generateIdentity(),
      settings: { ...quicDefaults, maxHalfOpen: 1 },
    },
  );
  return { clock, warnings, listener, asked: () => asked };
}

describe("a port that fails", () => {
  it("is told of when it closes by itself, and ends its connections", async () => {
    const { listener, warnings } = setUpListener(() => Promise.reject(new Error("server closed")));
    const connections = listener.connections[Symbol.asyncIterator]();
    expect(await within(connections.next(), { what: "the end" })).toMatchObject({ done: true });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatchObject({ code: "engine_fault", data: { port: 30380 } });
    await listener.close();
  });

  it("is asked no more often than every 100 ms where it refuses at once", async () => {
    const { clock, listener, asked } = setUpListener(() => Promise.reject(new Error("broken")));
    for (let turn = 0; turn < 100; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(asked()).toBe(16);
    await clock.advance(millis(1_000));
    expect(asked()).toBe(26);
    await listener.close();
    await clock.advance(millis(1_000));
    expect(asked()).toBe(26);
  });
});
