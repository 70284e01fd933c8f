import fc from "fast-check";
import { expect, it } from "vitest";
import type { ByteStream } from "@culvert/runtime";
import {
  memoryCarrierPair,
  readPayload,
  waitUntil,
  watchForCrashes,
  within,
  writePayload,
} from "@culvert/testkit";
import { sessionPair } from "./tunnel-pair.test-data.ts";

const stream = fc.record({
  opener: fc.constantFrom("client", "server"),
  thereBytes: fc.nat({ max: 200_000 }),
  backBytes: fc.nat({ max: 200_000 }),
  /** Who destroys it, if anybody, once so many bytes have gone. */
  abort: fc.option(fc.constantFrom("near", "far"), { freq: 4 }),
  abortAtBytes: fc.nat({ max: 100_000 }),
});

const carrier = fc.record({
  pieceBytes: fc.integer({ min: 1, max: 20_000 }),
  highWaterBytes: fc.integer({ min: 1, max: 100_000 }),
});

const settings = fc.record({
  windowBytes: fc.integer({ min: 1_000, max: 100_000 }),
  frameBytes: fc.integer({ min: 100, max: 65_536 }),
  aheadBytes: fc.integer({ min: 1, max: 100_000 }),
  maxUnreadBytesOverAll: fc.integer({ min: 50_000, max: 1_000_000 }),
});

/** Writes and reads a stream to its end, or to the abort; fails if what arrives is not what was sent. */
async function use(
  near: ByteStream,
  far: ByteStream,
  plan: { thereBytes: number; backBytes: number; abort: string | null; abortAtBytes: number },
): Promise<void> {
  if (plan.abort !== null) {
    const [victim, other] = plan.abort === "near" ? [near, far] : [far, near];
    let seen = 0;
    const count = (chunk: Uint8Array): void => {
      seen += chunk.length;
      if (seen >= plan.abortAtBytes) victim.destroy(new Error("aborted"));
    };
    victim.on("data", count);
    victim.once("end", () => victim.destroy(new Error("aborted at the end")));
    other.on("data", () => undefined);
    void writePayload(near, plan.thereBytes, 1).catch(() => undefined);
    void writePayload(far, plan.backBytes, 2).catch(() => undefined);
    await waitUntil(() => near.closed && far.closed, { what: "both ends of an aborted stream" });
    return;
  }
  const [there, back, gotThere, gotBack] = await within(
    Promise.all([
      writePayload(near, plan.thereBytes, 1),
      writePayload(far, plan.backBytes, 2),
      readPayload(far),
      readPayload(near),
    ]),
    { limitMs: 10_000, what: "a whole stream" },
  );
  expect(gotThere).toEqual(there);
  expect(gotBack).toEqual(back);
}

it("whatever the windows and pieces: bytes arrive whole, aborts harm nobody else, nothing is left", async () => {
  const crashes = watchForCrashes();
  await fc.assert(
    fc.asyncProperty(
      fc.array(stream, { minLength: 1, maxLength: 25 }),
      carrier,
      settings,
      async (plans, carrierOptions, tunnelSettings) => {
        const carriers = memoryCarrierPair(carrierOptions);
        const pair = sessionPair({ carriers, settings: tunnelSettings });
        const incoming = {
          client: pair.client.streams[Symbol.asyncIterator](),
          server: pair.server.streams[Symbol.asyncIterator](),
        };
        const uses: Promise<void>[] = [];
        for (const plan of plans) {
          const other = plan.opener === "client" ? "server" : "client";
          const near = await pair[plan.opener].openStream();
          const taken = await incoming[other].next();
          if (taken.done === true) throw new Error("the session ended");
          uses.push(use(near, taken.value, plan));
        }
        await Promise.all(uses);
        for (const session of [pair.client, pair.server]) {
          await waitUntil(() => session.stats().openStreams === 0, { what: "no streams" });
          expect(session.tunnelStats()).toMatchObject({
            unreadBytes: 0,
            drops: { window_exceeded: 0, too_many_streams: 0, unknown_connection: 0 },
          });
        }
        await pair.release();
      },
    ),
    { numRuns: 40 },
  );
  crashes.stop();
  expect(crashes.take()).toEqual([]);
}, 60_000);
