import { describe, expect, test } from "vitest";
import { agreeTerms, synOptions } from "./handshake.ts";

const timestamps = { value: 1, echo: 0 };
const everything = { mss: 1_460, windowScale: 9, sackPermitted: true, timestamps };

describe("the terms of a connection", () => {
  test("are what both ends offer", () => {
    expect(agreeTerms(everything, 65_495)).toEqual({
      segmentBytes: 1_448,
      peerShift: 9,
      ourShift: 6,
      sack: true,
      timestamps: true,
    });
    expect(agreeTerms({ mss: 1_460 }, 65_495)).toEqual({
      segmentBytes: 1_460,
      peerShift: 0,
      ourShift: 0,
      sack: false,
      timestamps: false,
    });
  });

  test("keep segments within our own MTU", () => {
    expect(agreeTerms({ mss: 65_495 }, 1_460).segmentBytes).toBe(1_460);
  });

  test("take 536 bytes where the peer names no size (RFC 9293 §3.7.1), and no less than 64", () => {
    expect(agreeTerms({}, 65_495).segmentBytes).toBe(536);
    expect(agreeTerms({ mss: 1 }, 65_495).segmentBytes).toBe(64);
  });
});

describe("the options of our SYN", () => {
  test("offer everything, and in an answer what was offered", () => {
    const all = { mss: 1_460, windowScale: 6, sackPermitted: true, timestamps };
    expect(synOptions(1_460, timestamps, undefined)).toEqual(all);
    expect(synOptions(1_460, timestamps, agreeTerms(everything, 1_460))).toEqual(all);
    expect(synOptions(1_460, timestamps, agreeTerms({}, 1_460))).toEqual({
      mss: 1_460,
      windowScale: undefined,
      sackPermitted: false,
      timestamps: undefined,
    });
  });

  test("answer a scale of 0, which is an offer too", () => {
    expect(synOptions(1_460, timestamps, agreeTerms({ windowScale: 0 }, 1_460)).windowScale).toBe(
      6,
    );
  });
});
