import fc from "fast-check";
import { millis, systemClock } from "@culvert/runtime";
import { VirtualClock } from "@culvert/testkit";
import { describe, expect, it } from "vitest";
import type { Exchange } from "./exchange.ts";
import { HttpView } from "./http-view.ts";

function watch(): {
  readonly view: HttpView;
  readonly told: Exchange[];
  readonly clock: VirtualClock;
} {
  const told: Exchange[] = [];
  const clock = new VirtualClock();
  return { view: new HttpView(clock, (exchange) => told.push(exchange)), told, clock };
}

const get = "GET /a?b=c HTTP/1.1\r\nHost: a\r\n\r\n";
const ok = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text));
}

describe("a view of HTTP", () => {
  it("tells a request and its answer, with sizes and time", async () => {
    const { view, told, clock } = watch();
    view.request(bytes("POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"));
    await clock.advance(millis(40));
    view.answer(bytes(ok));
    expect(told).toEqual([
      {
        method: "POST",
        path: "/form",
        status: 200,
        requestBytes: 3,
        responseBytes: 5,
        durationMs: 40,
      },
    ]);
  });

  it("tells requests that were sent ahead in order, and reads chunks, interim answers and HEAD", () => {
    const { view, told } = watch();
    view.request(
      bytes(`${get}HEAD /h HTTP/1.1\r\nHost: a\r\n\r\nGET /z HTTP/1.1\r\nHost: a\r\n\r\n`),
    );
    view.answer(bytes("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"));
    view.answer(
      bytes(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
      ),
    );
    view.answer(bytes("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"));
    view.answer(bytes("HTTP/1.1 304 Not Modified\r\n\r\n"));
    expect(told.map(({ path, status, responseBytes }) => [path, status, responseBytes])).toEqual([
      ["/a?b=c", 200, 5],
      ["/h", 200, 0],
      ["/z", 304, 0],
    ]);
  });

  it("tells an upgrade at once and looks no further; one that is refused changes nothing", () => {
    const upgrade =
      "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    const { view, told } = watch();
    view.request(bytes(upgrade));
    view.answer(bytes("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"));
    view.request(bytes(upgrade));
    view.answer(
      bytes(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05hello",
      ),
    );
    view.request(bytes(get));
    view.answer(bytes(ok));
    view.end();
    expect(told.map(({ path, status }) => [path, status])).toEqual([
      ["/ws", 400],
      ["/ws", 101],
    ]);
  });

  it("tells at the end what was not answered, and an answer that the end ends", () => {
    const { view, told } = watch();
    view.request(bytes(get));
    view.answer(bytes("HTTP/1.0 200 OK\r\n\r\nuntil the end"));
    expect(told).toEqual([]);
    view.end();
    const silent = watch();
    silent.view.request(bytes(get));
    silent.view.end();
    expect(
      [...told, ...silent.told].map(({ status, responseBytes }) => [status, responseBytes]),
    ).toEqual([
      [200, 13],
      [undefined, 0],
    ]);
  });

  it("is the same however the bytes are split", () => {
    const splits = fc.array(fc.nat(200), { maxLength: 8 });
    fc.assert(
      fc.property(splits, splits, (one, other) => {
        const { view, told } = watch();
        const requests = bytes(get + get);
        const answers = bytes(ok + ok);
        for (const piece of pieces(requests, one)) view.request(piece);
        for (const piece of pieces(answers, other)) view.answer(piece);
        expect(told.map(({ path, responseBytes }) => [path, responseBytes])).toEqual([
          ["/a?b=c", 5],
          ["/a?b=c", 5],
        ]);
      }),
    );
  });

  it("never throws, whatever passes", () => {
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc
        .constantFrom(get, ok, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "\r\n\r\n")
        .map(bytes),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), noise), { maxLength: 12 }), (chunks) => {
        const view = new HttpView(systemClock, () => undefined);
        for (const [up, chunk] of chunks) {
          if (up) view.request(chunk);
          else view.answer(chunk);
        }
        view.end();
      }),
      { numRuns: 2_000 },
    );
  });

  it("gives up on lines without end and on requests without answers", () => {
    const endless = watch();
    for (let sent = 0; sent < 64; sent += 1) endless.view.request(bytes("a".repeat(16_384)));
    endless.view.request(bytes(`\r\n\r\n${get}`));
    endless.view.answer(bytes(ok));
    const flood = watch();
    for (let sent = 0; sent < 1_000; sent += 1) flood.view.request(bytes(get));
    flood.view.end();
    expect(endless.told).toEqual([]);
    expect(flood.told.length).toBeLessThanOrEqual(64);
  });
});

function pieces(all: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const bounds = [0, ...cuts.map((cut) => cut % all.length), all.length].sort((a, b) => a - b);
  return bounds.slice(1).map((end, at) => all.slice(bounds[at], end));
}
