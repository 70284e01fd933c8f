import { millis, TransportError, type Clock } from "@culvert/runtime";
import { VirtualClock } from "@culvert/testkit";
import { describe, expect, it } from "vitest";
import { dialRace, resolveAddresses } from "./happy-eyeballs.ts";
import type { HostPort } from "./host-port.ts";

const a = { host: "192.0.2.1", port: 1 };
const b = { host: "2001:db8::1", port: 1 };
const c = { host: "192.0.2.2", port: 1 };

describe("resolving", () => {
  it("takes an address as it is, without asking", async () => {
    const found = await resolveAddresses(() => Promise.reject(new Error("asked")), a);
    expect(found).toEqual([a]);
  });

  it("lets families alternate, the resolver's first one first", async () => {
    const found = await resolveAddresses(
      () =>
        Promise.resolve([
          { address: b.host, family: 6 },
          { address: "2001:db8::2", family: 6 },
          { address: a.host, family: 4 },
        ]),
      { host: "relay.example", port: 1 },
    );
    expect(found.map(({ host }) => host)).toEqual([b.host, a.host, "2001:db8::2"]);
  });

  it("names the host that cannot be found", async () => {
    const failing = resolveAddresses(() => Promise.reject(new Error("ENOTFOUND")), {
      host: "nowhere.example",
      port: 1,
    });
    await expect(failing).rejects.toMatchObject({ code: "name_not_found" });
    await expect(failing).rejects.toThrow(/nowhere\.example/);
  });
});

describe("a race of dials", () => {
  interface Attempt {
    readonly address: HostPort;
    readonly atMs: number;
    readonly signal: AbortSignal;
    readonly succeed: (value: string) => void;
    readonly fail: (error: Error) => void;
  }

  function race(addresses: readonly HostPort[]): {
    clock: VirtualClock;
    attempts: Attempt[];
    discarded: string[];
    stop: AbortController;
    result: Promise<string>;
  } {
    const clock = new VirtualClock();
    const attempts: Attempt[] = [];
    const discarded: string[] = [];
    const stop = new AbortController();
    const result = dialRace<string>(addresses, {
      clock,
      stagger: millis(250),
      signal: stop.signal,
      dial: (address, signal) =>
        new Promise((succeed, fail) => {
          attempts.push({ address, atMs: clock.now(), signal, succeed, fail });
          signal.addEventListener("abort", () => fail(new TransportError("aborted", "aborted")));
        }),
      discard: (late) => discarded.push(late),
    });
    result.catch(() => undefined);
    return { clock, attempts, discarded, stop, result };
  }

  it("starts each address a little after the one before", async () => {
    const { clock, attempts, result } = race([a, b, c]);
    await clock.advance(600);
    expect(attempts.map(({ atMs }) => atMs)).toEqual([0, 250, 500]);
    attempts[1]?.succeed("second");
    expect(await result).toBe("second");
    expect(attempts[0]?.signal.aborted).toBe(true);
    expect(attempts[2]?.signal.aborted).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it("does not wait for the next one when the one before has failed", async () => {
    const { clock, attempts, result } = race([a, b]);
    await clock.advance(10);
    attempts[0]?.fail(new Error("refused"));
    await clock.advance(0);
    expect(attempts).toHaveLength(2);
    attempts[1]?.succeed("second");
    expect(await result).toBe("second");
  });

  it("tries no further address once one has answered", async () => {
    const { clock, attempts, result } = race([a, b]);
    await clock.advance(10);
    attempts[0]?.succeed("first");
    expect(await result).toBe("first");
    await clock.advance(1_000);
    expect(attempts).toHaveLength(1);
  });

  it("fails with the last error where all fail", async () => {
    const { clock, attempts, result } = race([a, b]);
    await clock.advance(300);
    attempts[0]?.fail(new TransportError("timeout", "slow"));
    attempts[1]?.fail(new TransportError("wrong_peer", "not the relay"));
    await expect(result).rejects.toMatchObject({ code: "wrong_peer" });
  });

  it("ends at once when it is aborted", async () => {
    const { clock, attempts, stop, result } = race([a, b]);
    await clock.advance(10);
    stop.abort();
    await expect(result).rejects.toMatchObject({ code: "aborted" });
    expect(attempts).toHaveLength(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it("does not take time in which this process stood still for a head start", async () => {
    let now = 0;
    let due: (() => void)[] = [];
    const clock: Clock = {
      now: () => millis(now),
      wallNowMs: () => now,
      setTimer: (_delay, callback) => {
        due.push(callback);
        return { cancel: () => (due = due.filter((each) => each !== callback)) };
      },
    };
    const dialled: HostPort[] = [];
    const stop = new AbortController();
    const result = dialRace<string>([a, b], {
      clock,
      stagger: millis(250),
      signal: stop.signal,
      discard: () => undefined,
      dial: (address, signal) => {
        dialled.push(address);
        return new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(new Error("aborted")));
        });
      },
    });
    result.catch(() => undefined);
    // Each turn stands for a second in which nothing else could run: ten of them are not worth one head start less a step.
    for (let turn = 0; turn < 9; turn += 1) {
      now += 1_000;
      due.shift()?.();
      await settled();
    }
    expect(dialled).toEqual([a]);
    due.shift()?.();
    await settled();
    expect(dialled).toEqual([a, b]);
    stop.abort(new Error("over"));
    await expect(result).rejects.toMatchObject({ code: "aborted" });
  });
});

/** Lets everything run that waits for nothing. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
