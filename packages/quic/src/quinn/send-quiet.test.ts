import { VirtualClock } from "@culvert/testkit";
import { describe, expect, it } from "vitest";
import type { NativeConnectionStats } from "./addon.ts";
import { SendQuiet } from "./send-quiet.ts";

/** Counters to turn by hand. */
function setUp(rttMs = 1) {
  const clock = new VirtualClock();
  const now = { frames: 1, pings: 0, acks: 0, probes: 0, ending: false };
  const readStats = (): NativeConnectionStats => ({
    udpTxDatagrams: 0,
    udpTxBytes: 0,
    udpRxDatagrams: 0,
    udpRxBytes: 0,
    pathLostPackets: 0,
    frameTxStream: now.frames,
    frameTxPing: now.pings,
    frameRxAcks: now.acks,
    pathSentPlpmtudProbes: now.probes,
  });
  const quiet = new SendQuiet({
    clock,
    readStats,
    readRtt: () => rttMs,
    isEnding: () => now.ending,
  });
  let settled = false;
  const wait = (): void => {
    settled = false;
    void quiet.wait().then(() => (settled = true));
  };
  return { clock, now, quiet, wait, isSettled: () => settled };
}

describe("SendQuiet", () => {
  it("waits until no STREAM frame was sent for longer than a probe time-out", async () => {
    const { clock, now, wait, isSettled } = setUp();
    wait();
    for (let step = 0; step < 20; step += 1) {
      await clock.advance(60);
      now.frames += 1;
    }
    expect(isSettled()).toBe(false);
    await clock.advance(99);
    expect(isSettled()).toBe(false);
    await clock.advance(21);
    expect(isSettled()).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it("waits longer on a long path", async () => {
    const { clock, wait, isSettled } = setUp(200);
    wait();
    await clock.advance(800);
    expect(isSettled()).toBe(false);
    await clock.advance(60);
    expect(isSettled()).toBe(true);
  });

  it("waits for streams that quinn has not taken yet", async () => {
    const { clock, now, wait, isSettled } = setUp();
    now.frames = 0;
    now.ending = true;
    wait();
    await clock.advance(5_000);
    expect(isSettled()).toBe(false);
    now.ending = false;
    await clock.advance(120);
    expect(isSettled()).toBe(true);
  });

  it("waits while a probe has no answer, and for what the answer shows to be lost", async () => {
    const { clock, now, wait, isSettled } = setUp();
    wait();
    await clock.advance(40);
    now.pings += 2;
    await clock.advance(3_000);
    expect(isSettled()).toBe(false);
    now.acks += 1;
    await clock.advance(20);
    now.frames += 1;
    await clock.advance(80);
    expect(isSettled()).toBe(false);
    await clock.advance(60);
    expect(isSettled()).toBe(true);
  });

  it("is held up neither by keep-alive that is answered nor by probes of the MTU", async () => {
    const { clock, now, wait, isSettled } = setUp();
    wait();
    for (let step = 0; step < 6; step += 1) {
      await clock.advance(40);
      now.pings += 2;
      now.probes += 1;
      now.acks += 1;
    }
    expect(isSettled()).toBe(true);
  });

  it("is not waited for where nothing was sent, nor after the end", async () => {
    const { clock, now, quiet, wait, isSettled } = setUp();
    now.frames = 0;
    await quiet.wait();
    now.frames = 1;
    wait();
    quiet.end();
    await clock.advance(0);
    expect(isSettled()).toBe(true);
    await quiet.wait();
    expect(clock.pendingTimers).toBe(0);
  });
});
