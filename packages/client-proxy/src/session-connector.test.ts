import { millis, splice, systemClock, systemRandom, TransportError } from "@culvert/runtime";
import { createRegistry, silentLog } from "@culvert/telemetry";
import { duplexPair, readBytes, within } from "@culvert/testkit";
import { readTip, writeTip, type Session } from "@culvert/transport";
import { encodeForwardAnswer, Status } from "@culvert/wire";
import { describe, expect, it } from "vitest";
import { ClientMetrics } from "./metrics.ts";
import { SessionConnector } from "./session-connector.ts";

type Stream = ReturnType<typeof duplexPair>[0];

/** A connector, and the relay's end of the one stream it opens. */
function bench(): {
  readonly connector: SessionConnector;
  readonly relay: Stream;
  readonly counted: () => Promise<string>;
} {
  const [near, relay] = duplexPair();
  const registry = createRegistry();
  const connector = new SessionConnector(
    {
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      metrics: new ClientMetrics(registry),
      session: () => ({ openStream: () => Promise.resolve(near) }) as unknown as Session,
    },
    { answerTimeout: millis(3_000) },
  );
  return { connector, relay, counted: () => registry.metrics() };
}

const request = {
  server: "lan-box",
  target: "ssh",
  clientPort: 40_000,
  entrance: "test",
  signal: new AbortController().signal,
};

async function hear(relay: Stream): Promise<void> {
  const tip = await readTip(relay, { clock: systemClock, deadline: millis(2_000) });
  expect(tip).toMatchObject({ kind: "connect", server: "lan-box", target: "ssh" });
}

function answer(relay: Stream, status: number, text = ""): void {
  const inner = encodeForwardAnswer({ status, text, capabilities: [] });
  writeTip(relay, { kind: "answer", status, text, limit: "", inner });
}

describe("a connection whose answer", () => {
  it("is ok carries bytes, those that came before the answer once", async () => {
    const { connector, relay, counted } = bench();
    const [user, early] = duplexPair();
    user.write("first");
    const connecting = connector.connect({ ...request, early });
    await hear(relay);
    expect((await within(readBytes(relay, 5), { what: "first bytes" })).toString()).toBe("first");
    answer(relay, Status.ok);
    const { stream, progress, ...connection } = await connecting;
    const joined = splice(early, stream, progress);
    user.end(" and last");
    expect((await within(readBytes(relay, 9), { what: "the rest" })).toString()).toBe(" and last");
    relay.end();
    relay.resume();
    user.resume();
    const result = await joined;
    connection.finished(result);
    expect(result).toMatchObject({ leftToRightBytes: 14, failure: undefined });
    expect(await counted()).toContain('connections_opened_total{entrance="test"} 1');
  });

  it("was overtaken by a reset was open and has been cut: it opens, fails its user, and is counted so", async () => {
    const { connector, relay, counted } = bench();
    const connecting = connector.connect(request);
    await hear(relay);
    // Whatever was under way, the answer too, is lost with a reset.
    relay.destroy(new Error("the target has reset"));
    const { stream, progress, ...connection } = await connecting;
    const [user, near] = duplexPair();
    const result = await within(splice(near, stream, progress), { what: "the end" });
    connection.finished(result);
    expect(result.failure).toMatchObject({ side: "right", error: { code: "stream_reset" } });
    expect(user.errored ?? near.errored).toMatchObject({ code: "stream_reset" });
    expect([...connector.live]).toEqual([]);
    const metrics = await counted();
    expect(metrics).toContain('connections_opened_total{entrance="test"} 1');
    expect(metrics).not.toContain("connections_refused_total{");
  });

  it("is a refusal, or never comes for another reason than a reset, is refused with that reason", async () => {
    const refused = bench();
    const refusing = refused.connector.connect(request);
    await hear(refused.relay);
    answer(refused.relay, Status.target_refused, "no");
    await expect(refusing).rejects.toMatchObject({ status: Status.target_refused });
    expect(await refused.counted()).toContain('refused_total{status="target_refused"} 1');

    const ended = bench();
    const ending = ended.connector.connect(request);
    await hear(ended.relay);
    ended.relay.end();
    await expect(ending).rejects.toMatchObject({ code: "truncated" });

    const left = bench();
    const leaving = new AbortController();
    const abandoned = left.connector.connect({ ...request, signal: leaving.signal });
    await hear(left.relay);
    leaving.abort(new TransportError("stream_reset", "the user left"));
    await expect(abandoned).rejects.toMatchObject({ code: "aborted" });
    expect(await left.counted()).toContain('refused_total{status="aborted"} 1');
  });
});
