import { expect } from "vitest";
import type { EngineSuite } from "./engine-suite.ts";
import { otherSide } from "../link/link.ts";
import { thereAndBack } from "../link/there-and-back.ts";
import { readPayload, writePayload } from "../payload.ts";
import { within } from "../wait-until.ts";

/** Cases about bytes that arrive as they were sent. */
export function transferCases(suite: EngineSuite): void {
  for (const [title, bytes] of sizes) {
    for (const side of ["client", "server"] as const) {
      suite.test(`${title} there and back, on a stream of the ${side}`, async (harness) => {
        const link = await harness.connect();
        await thereAndBack(link, side, bytes, bytes + 1);
        await link.expectNoStreams();
      });
    }
  }

  const large = suite.options.largeBytes ?? 64 * MiB;
  for (const side of ["client", "server"] as const) {
    suite.test(
      `${large / MiB} MiB from the ${side}`,
      async (harness) => {
        const link = await harness.connect();
        const { near, far } = await link.open(side);
        far.end();
        const done = Promise.all([writePayload(near, large, 64), readPayload(far)]);
        near.resume();
        const [sent, got] = await within(done, { limitMs: largeLimitMs, what: "the transfer" });
        expect(got).toEqual(sent);
        expect(link[side].stats().sentBytes).toBeGreaterThanOrEqual(large);
        expect(link[otherSide(side)].stats().receivedBytes).toBeGreaterThanOrEqual(large);
        await link.expectNoStreams();
      },
      { limitMs: largeLimitMs + 10_000 },
    );
  }

  suite.test("200 streams at once, each with its own payload", async (harness) => {
    const link = await harness.connect();
    const ids = new Set<number>();
    const serve = async (): Promise<void> => {
      for (let index = 0; index < 200; index += 1) {
        const far = await link.accept("server");
        far?.pipe(far);
      }
    };
    const echo = async (index: number): Promise<void> => {
      const stream = await link.client.openStream();
      ids.add(stream.streamId);
      const bytes = 1 + index * 331;
      const both = Promise.all([writePayload(stream, bytes, 1_000 + index), readPayload(stream)]);
      const what = `the echo of ${bytes} bytes on stream ${stream.streamId}`;
      const [sent, got] = await within(both, { limitMs: 15_000, what });
      expect(got).toEqual(sent);
    };
    await Promise.all([serve(), ...Array.from({ length: 200 }, (_, index) => echo(index))]);
    expect(ids.size).toBe(200);
    await link.expectNoStreams();
  });

  suite.test("500 streams one after another leave nothing behind", async (harness) => {
    // More than maxStreams: each that is over must make room for one.
    const link = await harness.connect({ maxStreams: 100 });
    for (let index = 0; index < 500; index += 1) await thereAndBack(link, "client", 10, index);
    await link.expectNoStreams();
  });

  suite.test("many small writes arrive in order", async (harness) => {
    const link = await harness.connect();
    const { near, far } = await link.open("client");
    const lines = Array.from({ length: 5_000 }, (_, index) => `${index}\n`);
    for (const line of lines) near.write(line);
    near.end();
    far.end();
    near.resume();
    const chunks: Buffer[] = [];
    far.on("data", (chunk: Buffer) => chunks.push(chunk));
    const ended = new Promise((resolve) => far.once("end", resolve));
    await within(ended, { what: "the end" });
    expect(Buffer.concat(chunks).toString()).toBe(lines.join(""));
    await link.expectNoStreams();
  });
}

const MiB = 1024 * 1024;
const largeLimitMs = 40_000;
const sizes = [
  ["nothing", 0],
  ["1 byte", 1],
  ["64 KiB", 64 * 1024],
  ["1 MiB", MiB],
] as const;
