import { millis } from "@culvert/runtime";
import { VirtualClock } from "@culvert/testkit";
import type { PublicOffer } from "@culvert/wire";
import { describe, expect, it } from "vitest";
import { RequestLines } from "./request-lines.ts";

const offer: PublicOffer = {
  service: "http",
  name: "app.example.com",
  servicePort: 443,
  remote: { family: "IPv4", address: "203.0.113.7", port: 50_112 },
  localAddress: "",
  tlsEnded: true,
};
const exchange = {
  method: "GET",
  path: "/a",
  status: 200,
  requestBytes: 0,
  responseBytes: 1_536,
  durationMs: millis(12.4),
};

function lines(json: boolean, terminal?: { columns: number }) {
  const written: string[] = [];
  const write = (text: string): void => void written.push(text);
  return { lines: new RequestLines({ clock: new VirtualClock(), write, json, terminal }), written };
}

describe("request lines", () => {
  it("show method, status, time, size, address and path in plain text where there is no terminal", () => {
    const { lines: shown, written } = lines(false);
    shown.opened("https://app.example.com", "127.0.0.1:3000");
    shown.exchange(offer, exchange);
    shown.exchange(offer, { ...exchange, status: undefined });
    shown.closed();
    expect(written[0]).toBe("https://app.example.com leads to 127.0.0.1:3000. Ctrl-C ends it.\n");
    expect(written[1]).toMatch(/^\d\d:\d\d:\d\d GET +200 +12ms +1\.5 KiB +203\.0\.113\.7 +\/a\n$/);
    expect(written[2]).toContain(" --- ");
    expect(written[3]).toMatch(/^closed: 2 requests/);
  });

  it("let nothing of a stranger's reach the terminal unescaped, and cut what is too long", () => {
    const { lines: shown, written } = lines(false);
    const path = `/\u001b[2J\u009b31m\n\u202e${"x".repeat(500)}`;
    shown.exchange(offer, { ...exchange, method: "G\u0007T", path });
    shown.ended(offer, {
      protocol: "ssh",
      bytesUp: 1,
      bytesDown: 2,
      durationMs: millis(1),
      failure: "\u001b]0;title\u0007",
    });
    for (const line of written) {
      expect(line).toMatch(/^[\x20-\x7e]+\n$/);
      expect(line.length).toBeLessThan(300);
    }
    expect(written[0]).toContain("/\\u001b[2J");
  });

  it("fit a terminal", () => {
    const { lines: shown, written } = lines(false, { columns: 80 });
    shown.exchange(offer, { ...exchange, path: `/${"y".repeat(200)}` });
    // eslint-disable-next-line no-control-regex -- colours are what is taken away
    expect(written[0]?.replace(/\u001b\[\d+m/g, "").length).toBeLessThanOrEqual(81);
  });

  it("are JSON where asked, one object a line", () => {
    const { lines: shown, written } = lines(true);
    shown.opened("https://app.example.com", "127.0.0.1:3000");
    shown.exchange(offer, exchange);
    shown.unreachable(offer, "127.0.0.1:3000 refused the connection");
    shown.interrupted("lost");
    shown.closed();
    const parsed = written.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(parsed.map(({ event }) => event)).toEqual([
      "open",
      "request",
      "unreachable",
      "interrupted",
      "closed",
    ]);
    expect(parsed[1]).toMatchObject({
      method: "GET",
      path: "/a",
      status: 200,
      responseBytes: 1_536,
      durationMs: 12.4,
      remote: "203.0.113.7",
    });
  });
});
