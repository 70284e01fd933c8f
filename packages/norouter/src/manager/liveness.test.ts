import { describe, expect, it, vi } from "vitest";
import { millis } from "@culvert/runtime";
import { VirtualClock } from "@culvert/testkit";
import { Liveness } from "./liveness.ts";

function watched(limitMs = 40_000) {
  const clock = new VirtualClock();
  const egress = { isWaiting: false, taken: 0 };
  const told = { probe: vi.fn(), onStuck: vi.fn(), onAnswer: vi.fn() };
  const liveness = new Liveness({ clock, egress: () => egress, ...told }, millis(limitMs));
  liveness.start();
  return { clock, egress, liveness, ...told };
}

describe("an agent that is watched", () => {
  it("is asked once it is silent, three times, and given up then", async () => {
    const { clock, probe, onStuck } = watched();
    await clock.advance(9_999);
    expect(probe).not.toHaveBeenCalled();
    await clock.advance(20_001);
    expect(probe).toHaveBeenCalledTimes(3);
    await clock.advance(9_999);
    expect(onStuck).not.toHaveBeenCalled();
    await clock.advance(1);
    expect(onStuck.mock.calls).toEqual([["its command runs, but it has answered nothing for 40s"]]);
    await clock.advance(100_000);
    expect(onStuck).toHaveBeenCalledTimes(1);
  });

  it("is not asked while it speaks, and lives as long as it answers late", async () => {
    const { clock, probe, onStuck, liveness } = watched();
    for (let turn = 0; turn < 10; turn += 1) {
      await clock.advance(5_000);
      liveness.heard();
      await clock.advance(5_000);
    }
    expect(probe).not.toHaveBeenCalled();
    for (let turn = 0; turn < 10; turn += 1) {
      await clock.advance(39_000);
      liveness.heard();
    }
    expect(probe.mock.calls.length).toBeGreaterThan(10);
    expect(onStuck).not.toHaveBeenCalled();
  });

  it("is given up where it speaks, but reads nothing for long", async () => {
    const { clock, egress, onStuck, liveness } = watched();
    egress.isWaiting = true;
    for (let turn = 0; turn < 40; turn += 1) {
      // On a slow line something is taken now and then.
      if (turn % 19 === 0) egress.taken += 1;
      await clock.advance(10_000);
      liveness.heard();
    }
    expect(onStuck).not.toHaveBeenCalled();
    for (let turn = 0; turn < 20; turn += 1) {
      await clock.advance(10_000);
      liveness.heard();
    }
    expect(onStuck).toHaveBeenCalledTimes(1);
    expect(onStuck.mock.calls[0]?.[0]).toMatch(/it has read nothing of what waits for it for /);
  });

  it("may speak again, which is told, and be given up again", async () => {
    const { clock, onStuck, onAnswer, liveness } = watched();
    await clock.advance(60_000);
    liveness.heard();
    liveness.heard();
    expect(onAnswer).toHaveBeenCalledTimes(1);
    await clock.advance(60_000);
    expect(onStuck).toHaveBeenCalledTimes(2);
  });

  it("is left alone once it is no longer watched, or where there is no limit", async () => {
    const { clock, liveness, onStuck, onAnswer } = watched();
    liveness.stop();
    liveness.heard();
    await clock.advance(1_000_000);
    const unlimited = watched(0);
    await unlimited.clock.advance(1_000_000);
    for (const one of [onStuck, onAnswer, unlimited.onStuck, unlimited.probe]) {
      expect(one).not.toHaveBeenCalled();
    }
  });
});
