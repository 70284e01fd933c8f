import { expect } from "vitest";
import type { PeerReset, QuicStream } from "@culvert/quic";
import type { EngineLink } from "./engine-harness.ts";
import type { EngineSuite } from "./engine-suite.ts";
import { streamOutcome } from "../link/stream-outcome.ts";
import type { StreamPair } from "../link/link.ts";
import { readBytes, readPayload, writePayload } from "../payload.ts";
import { within } from "../wait-until.ts";

/** Cases about one direction of a stream ending while the other goes on, by FIN, reset and stop. */
export function endingCases(suite: EngineSuite): void {
  const codeOf = (code: number): number => (suite.lacks("reset_codes") ? 0 : code);
  const note = suite.lacks("reset_codes") ? " (no codes)" : "";

  for (const side of ["client", "server"] as const) {
    suite.test(`half-close: the ${side} ends and still receives`, async (harness) => {
      const link = await harness.connect();
      const { near, far } = await link.open(side);
      near.end("last words");
      expect((await within(readPayload(far), { what: "FIN" })).bytes).toBe(10);
      for (let round = 0; round < 3; round += 1) {
        far.write("and on");
        const got = await within(readBytes(near, 6), { what: "bytes after FIN" });
        expect(got.toString()).toBe("and on");
      }
      const [sent, got] = await Promise.all([writePayload(far, 300_000, 3), readPayload(near)]);
      expect(got).toEqual(sent);
      await link.expectNoStreams();
    });

    suite.test(`half-close: the peer of the ${side} ends first`, async (harness) => {
      const link = await harness.connect();
      const { near, far } = await link.open(side);
      far.end("short answer");
      expect((await within(readPayload(near), { what: "FIN" })).bytes).toBe(12);
      const [sent, got] = await Promise.all([writePayload(near, 300_000, 3), readPayload(far)]);
      expect(got).toEqual(sent);
      await link.expectNoStreams();
    });

    suite.test(`reset by the ${side}: the other direction goes on${note}`, async (harness) => {
      const link = await harness.connect();
      const { near, far } = await link.open(side);
      const told = peerReset(far);
      near.resetSending(7);
      expect(await told).toEqual({ direction: "receiving", code: codeOf(7) });
      const [sent, got] = await Promise.all([writePayload(far, 300_000, 4), readPayload(near)]);
      expect(got).toEqual(sent);
      await link.expectNoStreams();
    });

    suite.test(`reset by the peer of the ${side}, likewise${note}`, async (harness) => {
      const link = await harness.connect();
      const { near, far } = await link.open(side);
      const told = peerReset(near);
      far.resetSending(8);
      expect(await told).toEqual({ direction: "receiving", code: codeOf(8) });
      const [sent, got] = await Promise.all([writePayload(near, 300_000, 4), readPayload(far)]);
      expect(got).toEqual(sent);
      await link.expectNoStreams();
    });

    suite.test(`stop by the ${side}: the other direction goes on${note}`, async (harness) => {
      const link = await harness.connect();
      const { near, far } = await link.open(side);
      const told = peerReset(far);
      near.stopReceiving(9);
      // Some stacks tell of a stop only when the next write meets it.
      const writing = setInterval(() => far.write("into the void"), 20);
      harness.add(() => clearInterval(writing));
      expect(await told).toEqual({ direction: "sending", code: codeOf(9) });
      clearInterval(writing);
      const [sent, got] = await Promise.all([writePayload(near, 300_000, 5), readPayload(far)]);
      expect(got).toEqual(sent);
      await link.expectNoStreams();
    });
  }

  suite.test("a reset that nobody listens for destroys the stream", async (harness) => {
    const link = await harness.connect();
    const { near, far } = await link.open("client");
    const outcome = streamOutcome(far);
    const nearOutcome = streamOutcome(near);
    near.resetSending(3);
    const { ended, error } = await outcome;
    expect(ended).toBe(false);
    expect(error).toMatchObject({ name: "TransportError", code: "stream_reset" });
    await nearOutcome;
    await link.expectNoStreams();
  });

  suite.test("a stop that nobody listens for destroys the stream", async (harness) => {
    const link = await harness.connect();
    const { near, far } = await link.open("client");
    const outcome = streamOutcome(far);
    near.stopReceiving(3);
    const writing = setInterval(() => far.write("into the void"), 20);
    harness.add(() => clearInterval(writing));
    const { ended, error } = await outcome;
    expect(ended).toBe(false);
    expect(error).toMatchObject({ name: "TransportError", code: "stream_stopped" });
    near.end();
    await link.expectNoStreams();
  });

  for (const side of ["client", "server"] as const) {
    suite.test(
      `destroy(error) at the ${side} is an error at its peer, not an end`,
      async (harness) => {
        const link = await harness.connect();
        const { near, far } = await link.open(side);
        const outcome = streamOutcome(far);
        near.write(Buffer.alloc(10_000));
        near.on("error", () => undefined);
        near.destroy(new Error("given up"));
        const { ended, error } = await outcome;
        expect(ended).toBe(false);
        expect(error).toMatchObject({ name: "TransportError" });
        await link.expectNoStreams();
      },
    );
  }

  suite.test("destroy() without an error is no end either", async (harness) => {
    const link = await harness.connect();
    const { near, far } = await link.open("client");
    const outcome = streamOutcome(far);
    near.destroy();
    expect((await outcome).ended).toBe(false);
    await link.expectNoStreams();
  });

  suite.test("a stream that ends at once after its last write loses nothing", async (harness) => {
    const link = await harness.connect();
    const { near, far } = await link.open("client");
    const reading = readPayload(far);
    near.end(Buffer.alloc(100_000, 1));
    expect((await within(reading, { what: "the end" })).bytes).toBe(100_000);
    far.end();
    near.resume();
    await link.expectNoStreams();
  });

  suite.test(
    "streams aborted before anybody took them, or listened, harm nobody",
    async (harness) => {
      const link = await harness.connect();
      for (let index = 0; index < 20; index += 1) {
        const stream = await link.client.openStream();
        stream.write("!");
        if (index % 2 === 0) stream.destroy(new Error("changed my mind"));
        else stream.destroy();
      }
      const { near, far } = await openAfter(link);
      const [sent, got] = await Promise.all([writePayload(near, 50_000, 9), readPayload(far)]);
      expect(got).toEqual(sent);
      far.end();
      near.resume();
      await link.expectNoStreams();
    },
  );
}

/** A good stream of the client behind others that may or may not come up at the server. */
async function openAfter(link: EngineLink): Promise<StreamPair<QuicStream>> {
  const near = await link.client.openStream();
  near.write("#");
  for (;;) {
    const far = await link.accept("server");
    if (far === undefined) throw new Error("the connection ended");
    const first = await readBytes(far, 1).catch(() => undefined);
    if (first?.toString() === "#") return { near, far };
    far.destroy();
  }
}

function peerReset(stream: QuicStream): Promise<PeerReset> {
  const told = new Promise<PeerReset>((resolve) => stream.once("peerreset", resolve));
  stream.on("error", () => undefined);
  return within(told, { what: "the peerreset event" });
}
