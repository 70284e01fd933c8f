import { InternalError, millis, sleep, TransportError, type CloseReason } from "@culvert/runtime";
import { VirtualClock } from "@culvert/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import type { Session } from "./session.ts";
import { planDials, type Transport } from "./transport-race.ts";

/** What a dial does: succeeds after so many milliseconds, fails after so many, or waits until it is aborted. */
type Fate = { readonly ok: number } | { readonly fails: number } | "silent";

let clock: VirtualClock;
let dials: { name: string; atMs: number; signal: AbortSignal }[];
let closed: { name: string; reason: CloseReason }[];

beforeEach(() => {
  clock = new VirtualClock();
  dials = [];
  closed = [];
});

function transport(name: Transport["name"], fate: Fate): Transport {
  return {
    name,
    async dial(signal) {
      dials.push({ name, atMs: clock.now(), signal });
      if (fate === "silent") {
        await sleep(clock, millis(3_600_000), signal);
        throw new Error("nobody aborted");
      }
      if ("fails" in fate) {
        await sleep(clock, millis(fate.fails), signal);
        throw new TransportError("dial_failed", `${name} is down`);
      }
      // Like a socket that connects just as it is being closed.
      await sleep(clock, millis(fate.ok));
      const session = {
        transport: name,
        close: (reason: CloseReason) => closed.push({ name, reason }),
      };
      return session as unknown as Session;
    },
  };
}

function dial(...transports: Transport[]): Promise<Session> {
  return planDials(transports, clock).dial(new AbortController().signal);
}

describe("dialling by several transports", () => {
  it("does not touch the second where the first is up within its head start", async () => {
    const session = dial(transport("quic", { ok: 240 }), transport("wss", { ok: 1 }));
    await clock.advance(10_000);
    expect((await session).transport).toBe("quic");
    expect(dials.map(({ name }) => name)).toEqual(["quic"]);
  });

  it("is up by the second soon after the head start where the first is silent, and aborts the first", async () => {
    const session = dial(transport("quic", "silent"), transport("wss", { ok: 40 }));
    await clock.advance(249);
    expect(dials).toHaveLength(1);
    await clock.advance(41);
    expect((await session).transport).toBe("wss");
    expect(clock.now()).toBe(290);
    expect(dials[0]?.signal.aborted).toBe(true);
  });

  it("begins with the second at once where the first fails at once", async () => {
    const session = dial(transport("quic", { fails: 1 }), transport("wss", { ok: 10 }));
    await clock.advance(11);
    expect((await session).transport).toBe("wss");
    expect(dials[1]?.atMs).toBe(1);
  });

  it("closes a session that was won too late", async () => {
    const session = dial(transport("quic", { ok: 300 }), transport("wss", { ok: 60 }));
    await clock.advance(2_000);
    expect((await session).transport).toBe("quic");
    expect(closed).toMatchObject([{ name: "wss", reason: { code: "too_late" } }]);
  });

  it("tells what each transport met where all fail", async () => {
    const session = dial(transport("quic", { fails: 5_000 }), transport("wss", { fails: 3 }));
    const failed = expect(session).rejects.toMatchObject({
      code: "dial_failed",
      message: "quic: quic is down; wss: wss is down",
    });
    await clock.advance(5_000);
    await failed;
  });

  it("tells the plain error of the only transport there is", async () => {
    const session = dial(transport("wss", { fails: 3 }));
    const failed = expect(session).rejects.toThrow(/^wss is down$/);
    await clock.advance(3);
    await failed;
    expect(() => planDials([], clock)).toThrow(InternalError);
  });

  it("knows which sessions came by the first transport, which alone is worth moving to", async () => {
    const plan = planDials([transport("quic", { ok: 400 }), transport("wss", { ok: 1 })], clock);
    const { signal } = new AbortController();
    const lesser = plan.dial(signal);
    await clock.advance(300);
    expect(plan.better?.made(await lesser)).toBe(false);
    const better = plan.better?.dial(signal);
    await clock.advance(400);
    expect(plan.better?.made((await better)!)).toBe(true);
    expect(planDials([transport("quic", { ok: 1 })], clock).better).toBeUndefined();
  });
});
