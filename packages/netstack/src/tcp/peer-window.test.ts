import { describe, expect, test } from "vitest";
import { PeerWindow } from "./peer-window.ts";

describe("the window of the peer (RFC 9293 §3.10.7.4)", () => {
  test("is what the latest segment told, and of one position the latest acknowledgement", () => {
    const window = new PeerWindow();
    window.set(1_000, 0, 0);
    expect([window.update(900, 10, 5), window.bytes]).toEqual([true, 900]);
    expect([window.update(800, 9, 6), window.bytes]).toEqual([false, 900]);
    expect([window.update(700, 10, 4), window.bytes]).toEqual([false, 900]);
    expect([window.update(600, 10, 5), window.bytes]).toEqual([true, 600]);
  });

  test("is remembered at its largest (RFC 5961 §5)", () => {
    const window = new PeerWindow();
    window.set(1_000, 0, 0);
    window.update(4_000, 1, 1);
    window.update(0, 2, 1);
    expect([window.bytes, window.maxBytes]).toEqual([0, 4_000]);
  });
});
