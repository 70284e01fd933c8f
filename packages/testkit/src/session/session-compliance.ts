import type { ByteStream } from "@culvert/runtime";
import type { PeerId } from "@culvert/identity";
import type { Session } from "@culvert/transport";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { watchForCrashes, type CrashWatch } from "../crash-watch.ts";
import { EagerWriter } from "../link/eager-writer.ts";
import { Link, otherSide } from "../link/link.ts";
import { streamOutcome } from "../link/stream-outcome.ts";
import { thereAndBack } from "../link/there-and-back.ts";
import { readBytes, readPayload, writePayload } from "../payload.ts";
import { within } from "../wait-until.ts";

/** Both ends of a fresh session. */
export interface SessionPair {
  /** The end that dialled. */
  readonly client: Session;
  readonly server: Session;
  readonly clientId: PeerId;
  readonly serverId: PeerId;
  /** Releases everything under the sessions. */
  release(): Promise<void> | void;
}

/** How to run the session compliance suite. */
export interface SessionComplianceOptions {
  /** Title of the suite: `memory`, `mproxy over TLS`. */
  readonly name: string;
  /** A new pair for each case. */
  connect(): Promise<SessionPair>;
  /** What the transport cannot do: `close_reasons` (the peer does not learn the text), `close_blame` (nor who closed). */
  readonly lacks?: readonly ("close_reasons" | "close_blame")[];
  /** Most bytes that a writer may have had accepted while its reader does not read. */
  readonly heldBytes: number;
}

/** Declares a vitest suite that holds a session transport to everything `Session` promises. */
export function sessionCompliance(options: SessionComplianceOptions): void {
  const lacks = (what: "close_reasons" | "close_blame"): boolean =>
    options.lacks?.includes(what) === true;

  describe(`session compliance: ${options.name}`, () => {
    let pair: SessionPair;
    let link: Link<ByteStream, Session>;
    let crashes: CrashWatch;
    beforeEach(async () => {
      crashes = watchForCrashes();
      pair = await options.connect();
      link = new Link(pair.client, pair.server);
    });
    afterEach(async () => {
      await pair.release();
      for (let turn = 0; turn < 5; turn += 1) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      crashes.stop();
      expect(crashes.take()).toEqual([]);
    });

    test("both ends know each other, and what carries them", () => {
      expect(pair.client.peer).toBe(pair.serverId);
      expect(pair.server.peer).toBe(pair.clientId);
      for (const session of [pair.client, pair.server]) {
        expect(session.transport).not.toBe("");
        expect(session.remote).not.toBe("");
      }
    });

    for (const bytes of [0, 1, 64 * KiB, 4 * MiB]) {
      for (const side of ["client", "server"] as const) {
        test(`${bytes} bytes there and back, on a stream of the ${side}`, async () => {
          await thereAndBack(link, side, bytes, bytes + 1);
          await link.expectNoStreams();
          expect(link[side].stats().sentBytes).toBeGreaterThanOrEqual(bytes);
          expect(link[otherSide(side)].stats().receivedBytes).toBeGreaterThanOrEqual(bytes);
        });
      }
    }

    test("50 streams at once, each with its own payload", async () => {
      const serving = (async () => {
        for (let index = 0; index < 50; index += 1) {
          const far = await link.accept("server");
          far?.pipe(far);
        }
      })();
      await Promise.all(
        Array.from({ length: 50 }, async (_, index) => {
          const stream = await link.client.openStream();
          const echo = readPayload(stream);
          const sent = await writePayload(stream, 1 + index * 1_000, index);
          expect(await within(echo, { limitMs: 15_000, what: "an echo" })).toEqual(sent);
        }),
      );
      await serving;
      await link.expectNoStreams();
    });

    for (const side of ["client", "server"] as const) {
      test(`half-close: the ${side} ends and still receives`, async () => {
        const { near, far } = await link.open(side);
        near.end("last words");
        expect((await within(readPayload(far), { what: "FIN" })).bytes).toBe(10);
        far.write("and on");
        await within(readBytes(near, 6), { what: "bytes after FIN" });
        const [sent, got] = await Promise.all([writePayload(far, 300_000, 3), readPayload(near)]);
        expect(got).toEqual(sent);
        await link.expectNoStreams();
      });

      test(`destroy(error) at the ${side} is an error at its peer, not an end`, async () => {
        const { near, far } = await link.open(side);
        const outcome = streamOutcome(far);
        near.on("error", () => undefined);
        near.destroy(new Error("given up"));
        const { ended, error } = await outcome;
        expect(ended).toBe(false);
        expect(error).toMatchObject({ name: "TransportError" });
        await link.expectNoStreams();
      });

      test(`a reader that stops holds the writer (${side}), and no other stream`, async () => {
        const { near, far } = await link.open(side);
        const writer = new EagerWriter(near, 2 * options.heldBytes);
        expect(await writer.untilHeld()).toBeLessThanOrEqual(options.heldBytes);
        await thereAndBack(link, side, MiB, 7);
        const both = Promise.all([writer.finished, readPayload(far)]);
        const [sent, got] = await within(both, { limitMs: 15_000, what: "the rest" });
        expect(got).toEqual(sent);
        far.end();
        near.resume();
        await link.expectNoStreams();
      });

      test(`closed by the ${side}: everything ends at both`, async () => {
        const pairs = [await link.open("client"), await link.open("server")];
        const streams = pairs.flatMap(({ near, far }) => [near, far]);
        const outcomes = streams.map((stream) => streamOutcome(stream));
        const goodbye = { by: "us", code: "superseded", text: "a newer session" } as const;
        link[side].close(goodbye);
        link[side].close({ by: "us", code: "later", text: "the first reason stands" });
        expect(await within(link[side].closed, { what: "our own end" })).toEqual(goodbye);
        const heard = await within(link[otherSide(side)].closed, { what: "the peer's end" });
        expect(heard.by).not.toBe("us");
        if (!lacks("close_blame")) expect(heard.by).toBe("peer-app");
        if (!lacks("close_reasons")) expect(heard.text).toContain(goodbye.text);
        for (const { ended, error } of await Promise.all(outcomes)) {
          expect(ended).toBe(false);
          expect(error).toBeInstanceOf(Error);
        }
        for (const end of ["client", "server"] as const) {
          expect(await link.accept(end)).toBeUndefined();
          await expect(link[end].openStream()).rejects.toMatchObject({
            name: "TransportError",
            code: "connection_closed",
          });
        }
        await link.expectNoStreams();
      });
    }

    test("streams aborted before anybody took them harm nobody", async () => {
      for (let index = 0; index < 10; index += 1) {
        const stream = await link.client.openStream();
        stream.write("!");
        stream.on("error", () => undefined);
        stream.destroy(new Error("changed my mind"));
      }
      await thereAndBack(link, "server", 50_000, 9);
      for (const session of [link.client, link.server]) {
        expect(session.stats().rttMs).toBeGreaterThanOrEqual(0);
      }
    });
  });
}

const KiB = 1024;
const MiB = 1024 * KiB;
