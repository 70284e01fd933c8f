import { expect } from "vitest";
import type { EngineSuite } from "./engine-suite.ts";
import { otherSide } from "../link/link.ts";
import { readPayload, writePayload } from "../payload.ts";
import { waitUntil, within } from "../wait-until.ts";

/** Cases about what was sent and ended before its connection was closed: after `drain` it has arrived, read or unread. */
export function drainingCases(suite: EngineSuite): void {
  const done = { by: "us", code: "over", text: "all is sent" } as const;

  for (const side of ["client", "server"] as const) {
    const peer = otherSide(side);

    for (const [title, bytes, times] of amounts) {
      suite.test(
        `what was sent and ended arrives although the ${side} closes right after drain(): ${title}`,
        async (harness) => {
          for (let time = 0; time < times; time += 1) {
            const link = await harness.connect();
            const { near, far } = await link.open(side);
            const reading = [readPayload(far), readPayload(near)] as const;
            const sent = await Promise.all([
              writePayload(near, bytes, time),
              writePayload(far, bytes, time + 1),
            ]);
            // Of what comes back, only what was read before our own close counts.
            const answer = await within(reading[1], { limitMs: 10_000, what: "the answer" });
            await within(link[side].drain(), { limitMs: 10_000, what: "drain" });
            link[side].close(done);
            const got = await within(reading[0], { limitMs: 10_000, what: "the end" });
            expect([got, answer]).toEqual(sent);
          }
        },
        { limitMs: 60_000 },
      );
    }

    suite.test(
      `what arrived before the ${side} closed is read by a reader that slept`,
      async (harness) => {
        const link = await harness.connect(wideWindows);
        const { near, far } = await link.open(side);
        far.end();
        near.resume();
        const sent = await writePayload(near, unreadBytes, 7);
        await within(link[side].drain(), { limitMs: 10_000, what: "drain" });
        link[side].close(done);
        await within(link[peer].closed, { what: "the peer's end" });
        expect(far.destroyed).toBe(false);
        const got = await within(readPayload(far), { limitMs: 10_000, what: "the rest" });
        expect(got).toEqual(sent);
        await link.expectNoStreams();
      },
    );

    suite.test(
      `drain() of the ${side} waits for a reader that sleeps before a full window`,
      async (harness) => {
        const link = await harness.connect();
        const { near, far } = await link.open(side);
        far.end();
        near.resume();
        const bytes = 4 * harness.settings.streamWindowBytes;
        const writing = writePayload(near, bytes, 8);
        const before = await untilStill(() => link[side].stats().sentBytes);
        expect(before).toBeLessThan(bytes);
        const reading = readPayload(far);
        const sent = await within(writing, { limitMs: 10_000, what: "the last write" });
        await within(link[side].drain(), { limitMs: 10_000, what: "drain" });
        link[side].close(done);
        expect(await within(reading, { limitMs: 10_000, what: "the end" })).toEqual(sent);
      },
    );

    suite.test(
      `a close by the ${side} before the end is no end at a slow reader`,
      async (harness) => {
        const link = await harness.connect(wideWindows);
        const { near, far } = await link.open(side);
        near.write(Buffer.alloc(200_000));
        await waitUntil(() => link[peer].stats().receivedBytes > 200_000, { what: "the bytes" });
        link[side].close(done);
        await within(link[peer].closed, { what: "the peer's end" });
        await expect(within(readPayload(far), { what: "the end" })).rejects.toMatchObject({
          name: "TransportError",
        });
        await link.expectNoStreams();
      },
    );
  }

  suite.test(
    "drain() returns at once where nothing was sent, and after the end",
    async (harness) => {
      const link = await harness.connect();
      await within(link.client.drain(), { what: "drain of an unused connection" });
      const { near } = await link.open("client");
      near.end(Buffer.alloc(100));
      const draining = link.client.drain();
      link.client.close(done);
      await within(draining, { what: "drain, cut short" });
      await within(link.client.drain(), { what: "drain after the close" });
      await within(link.server.closed, { what: "the peer's end" });
      await within(link.server.drain(), { what: "drain at the peer" });
    },
  );
}

/** Waits until a number grows no more, and returns it. */
async function untilStill(read: () => number): Promise<number> {
  let last = -1;
  let looks = 0;
  await waitUntil(
    () => {
      const now = read();
      // Keep-alive may add to it.
      looks = now - last < 2_000 ? looks + 1 : 0;
      last = now;
      return looks > 30;
    },
    { limitMs: 10_000, what: "a sender that is held" },
  );
  return last;
}

const KiB = 1024;
const MiB = 1024 * KiB;
/** Fits in the window that every engine begins with. */
const unreadBytes = 200 * KiB;
/** Hold it unread, also where a stream gets a sixteenth of its connection's window. */
const wideWindows = { streamWindowBytes: 2 * MiB, connectionWindowBytes: 32 * MiB };
const amounts = [
  ["64 KiB, ten times", 64 * KiB, 10],
  ["1 MiB, ten times", MiB, 10],
  ["8 MiB", 8 * MiB, 1],
] as const;
