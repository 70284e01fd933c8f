import { millis, TransportError } from "@culvert/runtime";
import { VirtualClock } from "@culvert/testkit";
import { describe, expect, it } from "vitest";
import { StreamOpenings } from "./stream-openings.ts";

/** A peer that grants streams when told to. */
function setUp(maxWaiting = 10): {
  clock: VirtualClock;
  openings: StreamOpenings<number>;
  grants: { resolve: (stream: number) => void; reject: (error: Error) => void }[];
} {
  const clock = new VirtualClock();
  const grants: { resolve: (stream: number) => void; reject: (error: Error) => void }[] = [];
  const openNative = (): Promise<number> =>
    new Promise((resolve, reject) => grants.push({ resolve, reject }));
  const options = { patience: millis(1_000), maxWaiting };
  return { clock, openings: new StreamOpenings({ clock, openNative }, options), grants };
}

describe("StreamOpenings", () => {
  it("gives each caller a stream, in order", async () => {
    const { clock, openings, grants } = setUp();
    const taken = [openings.take(), openings.take()];
    grants[1]?.resolve(1);
    grants[0]?.resolve(2);
    expect(await Promise.all(taken)).toEqual([1, 2]);
    expect(clock.pendingTimers).toBe(0);
  });

  it("gives up waiting, and gives what comes late to the next caller", async () => {
    const { clock, openings, grants } = setUp();
    const refused = expect(openings.take()).rejects.toMatchObject({
      name: "LimitError",
      code: "too_many_streams",
    });
    await clock.advance(1_000);
    await refused;
    const next = openings.take();
    expect(grants).toHaveLength(1);
    grants[0]?.resolve(7);
    expect(await next).toBe(7);
  });

  it("keeps a stream that nobody waits for", async () => {
    const { clock, openings, grants } = setUp();
    const refused = expect(openings.take()).rejects.toThrow();
    await clock.advance(1_000);
    await refused;
    grants[0]?.resolve(7);
    await clock.advance(0);
    expect(await openings.take()).toBe(7);
    expect(grants).toHaveLength(1);
  });

  it("bounds the callers that wait", async () => {
    const { openings } = setUp(2);
    const waiting = [openings.take(), openings.take()].map((taking) => taking.catch(() => "over"));
    await expect(openings.take()).rejects.toMatchObject({ code: "too_many_streams" });
    openings.end(new TransportError("connection_closed", "over"));
    expect(await Promise.all(waiting)).toEqual(["over", "over"]);
  });

  it("ends every waiting with the connection, and survives what the addon says of it", async () => {
    const { clock, openings, grants } = setUp();
    const over = new TransportError("connection_closed", "over");
    const refused = expect(openings.take()).rejects.toBe(over);
    openings.end(over);
    grants[0]?.reject(new Error("closed"));
    await refused;
    await expect(openings.take()).rejects.toBe(over);
    expect(clock.pendingTimers).toBe(0);
  });
});
