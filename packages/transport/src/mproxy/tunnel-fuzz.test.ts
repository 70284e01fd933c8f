import fc from "fast-check";
import { expect, it } from "vitest";
import type { ByteStream } from "@culvert/runtime";
import { VirtualClock, watchForCrashes } from "@culvert/testkit";
import { noConnection, type ConnectionId, type MproxyFrameKind } from "@culvert/wire";
import { culvertId } from "./dialect-culvert-ids.ts";
import { diallerId, publicId, publicMeta, tunnelAndPeer } from "./raw-peer.test-data.ts";
import type { TunnelDialect } from "./tunnel-api.ts";

/** Ids that mean something in one dialect or another, and some that never do. */
const ids: readonly ConnectionId[] = [
  ...[1, 2, 3, 4].map(diallerId),
  ...[1, 2].map((number) => culvertId(false, number)),
  ...[1, 2, 3].map(publicId),
  { family: "", address: "", port: "" },
];

const body = fc.oneof(
  { weight: 3, arbitrary: fc.constant("") },
  { weight: 3, arbitrary: fc.nat({ max: 3_000 }).map((length) => "x".repeat(length)) },
  { weight: 2, arbitrary: fc.nat({ max: 5_000 }).map(String) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      "{}",
      '{"message":"m","code":"E_X"}',
      "null",
      "5",
      '[1,"ping"]',
      "[0]",
    ),
  },
);

/** What the peer sends. */
const sent = fc.record({
  kind: fc.constantFrom<MproxyFrameKind>(
    ...(["connection", "connection", "data", "data", "data", "end"] as const),
    ...(["error", "pause", "resume", "control"] as const),
  ),
  id: fc.constantFrom(...ids),
  body,
});

/** What our own users do meanwhile with one of their streams. */
const done = fc.record({
  verb: fc.constantFrom("write", "end", "destroy", "read", "pause", "open"),
  which: fc.nat({ max: 9 }),
  bytes: fc.nat({ max: 5_000 }),
});

const dialects: readonly TunnelDialect[] = ["culvert-listener", "telebit-relay", "telebit-device"];

function act(stream: ByteStream, verb: string, bytes: number): void {
  if (verb === "write" && stream.writable) stream.write("y".repeat(bytes));
  else if (verb === "end") stream.end();
  else if (verb === "destroy") stream.destroy(new Error("enough"));
  else if (verb === "read") stream.resume();
  else stream.pause();
}

it.each(dialects)(
  "%s: no order of frames, and nothing our users do, is a defect",
  async (dialect) => {
    const crashes = watchForCrashes();
    let survived = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(sent, done), { maxLength: 60 }),
        fc.boolean(),
        async (steps, inOneTurn) => {
          const clock = new VirtualClock();
          const { tunnel, peer, opened } = tunnelAndPeer({
            dialect,
            clock,
            settings: {
              windowBytes: 4_000,
              pauseAboveBytes: 2_000,
              maxUnreadBytes: 8_000,
              maxStreams: 3,
            },
          });
          tunnel.control.on(() => undefined);
          const streams: ByteStream[] = [];
          let over = "";
          void tunnel.closed.then(({ code }) => (over = code));
          for (const step of steps) {
            if (over !== "") break;
            if ("kind" in step)
              peer.send(step.kind, step.kind === "control" ? noConnection : step.id, step.body);
            else if (step.verb === "open") {
              const number = streams.length + 1;
              const meta = publicMeta(number);
              try {
                const id = dialect === "culvert-listener" ? culvertId(false, number) : meta.id;
                streams.push(tunnel.open({ ...meta, id }));
              } catch (error) {
                expect(["TransportError", "LimitError"]).toContain((error as Error).name);
              }
            } else {
              const all = [...streams, ...opened.map(({ stream }) => stream)];
              const stream = all[step.which % Math.max(1, all.length)];
              if (stream !== undefined) act(stream, step.verb, step.bytes);
            }
            if (!inOneTurn) await clock.advance(1);
          }
          await clock.advance(10);
          expect(["", "protocol_error", "closed"]).toContain(over);
          if (over === "") survived += 1;
          expect(tunnel.stats().unreadBytes).toBeLessThan(200_000);
          for (const stream of [...streams, ...opened.map((one) => one.stream)]) stream.destroy();
          tunnel.close({ by: "us", code: "done", text: "" });
          await clock.advance(10);
          expect(tunnel.stats()).toMatchObject({ openStreams: 0, unreadBytes: 0 });
          expect(clock.pendingTimers).toBe(0);
        },
      ),
      { numRuns: 300 },
    );
    // Else it would be the first frame that is judged, and nothing more.
    expect(survived).toBeGreaterThan(20);
    crashes.stop();
    expect(crashes.take()).toEqual([]);
  },
  60_000,
);
