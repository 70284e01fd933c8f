import { expect } from "vitest";
import type { EngineSuite } from "./engine-suite.ts";
import { EagerWriter } from "../link/eager-writer.ts";
import { otherSide } from "../link/link.ts";
import { readPayload, writePayload } from "../payload.ts";
import { waitUntil, within } from "../wait-until.ts";

/** Cases about windows and limits: what a reader that stops, or a peer that opens too much, can cost. */
export function flowCases(suite: EngineSuite): void {
  const slack = suite.options.writerSlackBytes ?? 512 * KiB;
  const window = 256 * KiB;
  const windows = { streamWindowBytes: window, connectionWindowBytes: MiB };

  for (const side of ["client", "server"] as const) {
    suite.test(`a reader that stops holds the writer (${side})`, async (harness) => {
      // Some engines give one stream a sixteenth of the connection's window at most.
      const link = await harness.connect({ ...windows, connectionWindowBytes: 16 * window });
      const { near, far } = await link.open(side);
      const writer = new EagerWriter(near, 4 * MiB);
      const held = await writer.untilHeld();
      expect(held).toBeGreaterThanOrEqual(window / 2);
      expect(held).toBeLessThanOrEqual(window + slack);
      const [sent, got] = await within(Promise.all([writer.finished, readPayload(far)]), {
        limitMs: 10_000,
        what: "the rest, once the reader goes on",
      });
      expect(got).toEqual(sent);
      far.end();
      near.resume();
      await link.expectNoStreams();
      expect(link[otherSide(side)].stats().receivedBytes).toBeGreaterThanOrEqual(4 * MiB);
    });
  }

  suite.test("a stalled stream does not stall another", async (harness) => {
    const link = await harness.connect(windows);
    const stalled = await link.open("client");
    await new EagerWriter(stalled.near, MiB).untilHeld();
    const { near, far } = await link.open("client");
    const both = Promise.all([writePayload(near, 2 * MiB, 2), readPayload(far)]);
    const [sent, got] = await within(both, { limitMs: 10_000, what: "the other stream" });
    expect(got).toEqual(sent);
    far.end();
    near.resume();
    stalled.far.destroy();
    await link.expectNoStreams();
  });

  suite.test("stalled streams together stay within the connection's window", async (harness) => {
    const link = await harness.connect(windows);
    const stalled = [];
    for (let index = 0; index < 8; index += 1) stalled.push(await link.open("client"));
    const writers = stalled.map(({ near }) => new EagerWriter(near, 2 * MiB));
    const held = await Promise.all(writers.map((writer) => writer.untilHeld()));
    const total = held.reduce((sum, bytes) => sum + bytes, 0);
    expect(total).toBeLessThanOrEqual(MiB + 8 * slack);
    // What was never read gives its window back when its stream goes.
    for (const { far } of stalled) far.destroy();
    const { near, far } = await link.open("client");
    const both = Promise.all([writePayload(near, 3 * MiB, 5), readPayload(far)]);
    const [sent, got] = await within(both, { limitMs: 10_000, what: "a stream after them" });
    expect(got).toEqual(sent);
    far.end();
    near.resume();
    await link.expectNoStreams();
  });

  suite.test("the peer's stream limit is an error that names it", async (harness) => {
    const link = await harness.connect({ maxStreams: 4 });
    const open = [];
    for (let index = 0; index < 4; index += 1) open.push(await link.open("client"));
    await expect(
      within(link.client.openStream(), { what: "the refusal of a fifth stream" }),
    ).rejects.toMatchObject({ name: "LimitError", code: "too_many_streams" });
    const [first] = open;
    first?.near.end();
    first?.near.resume();
    first?.far.end();
    first?.far.resume();
    const next = await waitUntil(() => link.client.openStream().catch(() => undefined), {
      what: "room for one more stream",
    });
    next.destroy();
    for (const { near } of open) near.destroy();
    await link.expectNoStreams();
  });

  suite.test("the limit counts each side's streams for themselves", async (harness) => {
    const link = await harness.connect({ maxStreams: 2 });
    const pairs = [await link.open("client"), await link.open("client")];
    pairs.push(await link.open("server"), await link.open("server"));
    for (const { near } of pairs) near.destroy();
    await link.expectNoStreams();
  });
}

const KiB = 1024;
const MiB = 1024 * KiB;
