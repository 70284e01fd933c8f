import { PassThrough, type Duplex } from "node:stream";
import { millis, systemClock } from "@culvert/runtime";
import { createRegistry, silentLog, type Registry } from "@culvert/telemetry";
import { duplexPair, waitUntil, within } from "@culvert/testkit";
import { readTip, writeTip } from "@culvert/transport";
import { decodeForwardAnswer, encodeForward, Status, type Answer, type Offer } from "@culvert/wire";
import { describe, expect, it } from "vitest";
import { ConnectionLedger } from "./connection-ledger.ts";
import { ExitError, type Exit } from "./exits/exit.ts";
import { EndServerMetrics } from "./metrics.ts";
import { OfferDesk } from "./offer-desk.ts";

const offer: Offer = {
  kind: "offer",
  clientId: "12D3KooWGTgzvYzB6h5NZZNWXBcLvTHdABCHPckFNCF51NTEcnXq",
  clientName: "laptop",
  target: "80",
  traceId: new Uint8Array(16).fill(3),
  clientPort: 40_000,
  inner: encodeForward({ clientPort: 40_000, target: "80", capabilities: [] }),
};

interface Desk {
  readonly desk: OfferDesk;
  readonly registry: Registry;
  readonly dialled: string[];
  readonly targets: Duplex[];
  /** The relay's end of a new stream. */
  readonly stream: () => Duplex;
}

function createDesk(exit?: Exit["connect"], maxConnections = 10): Desk {
  const registry = createRegistry();
  const dialled: string[] = [];
  const targets: Duplex[] = [];
  const connect: Exit["connect"] = (target) => {
    dialled.push(target);
    const [ours, theirs] = duplexPair();
    targets.push(theirs);
    return Promise.resolve(ours);
  };
  const deps = { clock: systemClock, log: silentLog, metrics: new EndServerMetrics(registry) };
  const desk = new OfferDesk(
    {
      ...deps,
      ledger: new ConnectionLedger(deps),
      exit: { connect: exit ?? connect, describe: () => [] },
    },
    { maxConnections, tipDeadline: millis(200), drainTimeout: millis(1_000) },
  );
  return {
    desk,
    registry,
    dialled,
    targets,
    stream() {
      const [relay, ours] = duplexPair();
      relay.on("error", () => undefined);
      void desk.serve(ours);
      return relay;
    },
  };
}

async function answerTo(relay: Duplex, tip: Offer): Promise<Answer> {
  writeTip(relay, tip);
  const answer = await readTip(relay, { clock: systemClock, deadline: millis(2_000) });
  if (answer.kind !== "answer") throw new Error(`got ${answer.kind}`);
  return answer;
}

describe("a public offer", () => {
  it("is refused with an empty inner layer where nothing is exposed, and dials nothing", async () => {
    const { stream, dialled } = createDesk();
    const answer = await answerTo(stream(), {
      ...offer,
      ...{ clientId: "", clientName: "", target: "", inner: new Uint8Array(0) },
      public: {
        service: "http",
        name: "app.example.com",
        servicePort: 443,
        remote: { family: "IPv4", address: "203.0.113.7", port: 50_112 },
        localAddress: "",
        tlsEnded: true,
      },
    });
    expect(answer).toMatchObject({
      status: Status.permission_denied_by_server,
      text: "nothing is exposed here",
    });
    expect(answer.inner).toHaveLength(0);
    expect(dialled).toEqual([]);
  });
});

describe("an offer", () => {
  it("is answered in both layers once the target is open, and then carries bytes", async () => {
    const { stream, targets, dialled } = createDesk();
    const relay = stream();
    const answer = await answerTo(relay, offer);
    expect(answer.status).toBe(Status.ok);
    expect(decodeForwardAnswer(answer.inner).status).toBe(Status.ok);
    expect(dialled).toEqual(["80"]);
    targets[0]?.pipe(targets[0]);
    relay.write("hello");
    const echoed = new Promise<string>((resolve) =>
      relay.once("data", (chunk: Buffer) => resolve(chunk.toString())),
    );
    expect(await within(echoed, { what: "the echo" })).toBe("hello");
  });

  it("is refused, and dials nothing, where the client asks for another target than the relay allowed", async () => {
    const { stream, dialled } = createDesk();
    const inner = encodeForward({ clientPort: 1, target: "22", capabilities: [] });
    const answer = await answerTo(stream(), { ...offer, inner });
    expect(answer.status).toBe(Status.permission_denied_by_server);
    expect(dialled).toEqual([]);
  });

  it.each([
    [Status.permission_denied_by_server, "not listed"],
    [Status.target_refused, "connection refused"],
    [Status.target_timeout, "no answer"],
  ])("is refused with the exit's status %i and words", async (status, words) => {
    const { stream } = createDesk(() => Promise.reject(new ExitError(status, words)));
    expect(await answerTo(stream(), offer)).toMatchObject({ status, text: words });
  });

  it("that is garbage is answered as malformed", async () => {
    const { stream, registry } = createDesk();
    const relay = stream();
    relay.write(Uint8Array.from([1, 4, 255, 255, 255, 255]));
    const answer = await readTip(relay, { clock: systemClock, deadline: millis(2_000) });
    expect(answer).toMatchObject({ kind: "answer", status: Status.malformed });
    expect(await registry.metrics()).toContain(
      'culvert_server_connections_refused_total{status="malformed"} 1',
    );
  });

  it("that comes too slowly is answered as malformed", async () => {
    const { stream } = createDesk();
    const relay = stream();
    relay.write(Uint8Array.of(1));
    const answer = await readTip(relay, { clock: systemClock, deadline: millis(2_000) });
    expect(answer).toMatchObject({ kind: "answer", status: Status.malformed });
  });

  it("that never comes ends the stream at the deadline", async () => {
    const { stream } = createDesk();
    const relay = stream();
    relay.resume();
    const ended = new Promise<void>((resolve) => relay.once("close", () => resolve()));
    relay.once("end", () => relay.end());
    await within(ended, { what: "the end of the silent stream", limitMs: 3_000 });
  });

  it("beyond the limit is told the limit's name", async () => {
    const { stream } = createDesk(undefined, 1);
    expect((await answerTo(stream(), offer)).status).toBe(Status.ok);
    expect(await answerTo(stream(), offer)).toMatchObject({
      status: Status.resource_limit,
      limit: "connections",
    });
  });

  it("whose client leaves while the target is dialled aborts the dial", async () => {
    let aborted = false;
    const { stream } = createDesk(
      (_target, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            aborted = true;
            reject(new ExitError(Status.target_timeout, "aborted"));
          });
        }),
    );
    const relay = stream();
    writeTip(relay, offer);
    setImmediate(() => relay.destroy());
    await waitUntil(() => aborted, { what: "the abort" });
  });

  it("is refused while the server drains, which waits for what is open", async () => {
    const { desk, stream, targets } = createDesk();
    const open = stream();
    await answerTo(open, offer);
    let drained = false;
    void desk.drained().then(() => (drained = true));
    expect((await answerTo(stream(), offer)).status).toBe(Status.draining);
    expect(drained).toBe(false);
    open.end();
    open.resume();
    targets[0]?.pipe(new PassThrough()).resume();
    targets[0]?.end();
    await waitUntil(() => drained, { what: "the drain" });
  });
});
