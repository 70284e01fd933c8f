import { millis } from "@culvert/runtime";
import { duplexPair, VirtualClock } from "@culvert/testkit";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { DeviceStream } from "./device-stream.ts";

/** A stream, the device's end of it, and what it was opened with. */
function bench(failure?: Error) {
  const clock = new VirtualClock();
  const [ours, device] = duplexPair();
  const opened: (string | undefined)[] = [];
  const received: string[] = [];
  device.on("data", (chunk: Buffer) => received.push(chunk.toString()));
  device.on("error", () => undefined);
  const stream = new DeviceStream({
    clock,
    open(firstBytes) {
      if (failure !== undefined) throw failure;
      opened.push(firstBytes && Buffer.from(firstBytes).toString());
      return ours;
    },
    firstBytesWait: millis(350),
    settleWait: millis(100),
  });
  return { clock, device, opened, received, stream };
}

describe("a connection to a Telebit device", () => {
  it("is opened by its first bytes, and the rest waits until the device answers", async () => {
    const { clock, device, opened, received, stream } = bench();
    await clock.advance(200);
    expect(opened).toEqual([]);
    stream.write("first");
    stream.write("second");
    await clock.advance(50);
    expect(opened).toEqual(["first"]);
    expect(received).toEqual([]);
    device.write("hello");
    await clock.advance(1);
    expect(received).toEqual(["second"]);
    stream.resume();
    stream.write("third");
    await clock.advance(1);
    expect(received).toEqual(["second", "third"]);
  });

  it("waits no longer than it must for an answer", async () => {
    const { clock, received, stream } = bench();
    stream.write("first");
    stream.write("second");
    await clock.advance(99);
    expect(received).toEqual([]);
    await clock.advance(1);
    expect(received).toEqual(["second"]);
  });

  it("is opened without bytes where the server has to speak first", async () => {
    const { clock, device, opened, stream } = bench();
    await clock.advance(350);
    expect(opened).toEqual([undefined]);
    device.write("220 ready");
    const [greeting] = (await once(stream, "data")) as [Buffer];
    expect(greeting.toString()).toBe("220 ready");
  });

  it("never reaches the device where the client leaves without a byte", async () => {
    const { clock, opened, stream } = bench();
    stream.end();
    stream.resume();
    await once(stream, "close");
    await clock.advance(1_000);
    expect(opened).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  });

  it("cuts first bytes to what one frame holds, and loses none", async () => {
    const { clock, opened, received, stream } = bench();
    stream.end("x".repeat(100_000));
    await clock.advance(200);
    expect(opened[0]?.length).toBe(32 * 1024);
    expect(received.join("").length).toBe(100_000 - 32 * 1024);
  });

  it("ends as both sides end", async () => {
    const { clock, device, stream } = bench();
    stream.end("all");
    await clock.advance(200);
    device.end("answer");
    let text = "";
    stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
    await once(stream, "close");
    expect(text).toBe("answer");
    expect(stream.errored).toBeNull();
    expect(clock.pendingTimers).toBe(0);
  });

  it("fails where the device cannot be reached, or resets", async () => {
    const refused = bench(new Error("no room"));
    refused.stream.write("x");
    await expect(once(refused.stream, "close")).rejects.toThrow("no room");
    const reset = bench();
    reset.stream.write("x");
    await reset.clock.advance(1);
    reset.device.destroy(new Error("gone"));
    await expect(once(reset.stream, "close")).rejects.toThrow();
    expect(reset.clock.pendingTimers).toBe(0);
  });

  it("resets the device where the client resets", async () => {
    const { clock, device, stream } = bench();
    stream.write("x");
    await clock.advance(1);
    stream.destroy(new Error("gone"));
    await expect(once(device, "close")).rejects.toThrow();
    expect(clock.pendingTimers).toBe(0);
  });

  it("passes back-pressure on, both ways", async () => {
    const { clock, device, stream } = bench();
    device.pause();
    stream.write("first");
    await clock.advance(100);
    let accepted = 0;
    while (stream.write("x".repeat(65_536))) {
      accepted += 1;
      await clock.advance(0);
      expect(accepted).toBeLessThan(100);
    }
    let sent = 0;
    while (device.write("y".repeat(65_536))) {
      sent += 1;
      await clock.advance(0);
      expect(sent).toBeLessThan(100);
    }
  });
});
