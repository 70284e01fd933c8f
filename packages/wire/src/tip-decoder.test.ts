import { describe, expect, it } from "vitest";
import { InternalError, WireError } from "@culvert/runtime";
import {
  decodeForward,
  decodeForwardAnswer,
  encodedTipLength,
  encodeForward,
  encodeTip,
  statusOfError,
  tipDefaults,
  TipDecoder,
  type Answer,
  type Attach,
  type Connect,
  type Tip,
} from "./index.ts";

const answer: Answer = {
  kind: "answer",
  status: 100,
  text: "",
  limit: "",
  inner: new Uint8Array(),
};
const connect: Connect = {
  kind: "connect",
  server: "lan-box",
  target: "ssh",
  traceId: new Uint8Array(16),
  clientPort: 50_112,
  inner: new Uint8Array([1, 2, 3]),
};
const attach: Attach = {
  kind: "attach",
  role: "server",
  services: ["ssh"],
  instanceId: new Uint8Array(16),
  transient: false,
  software: "culvert/0.1.0",
  capabilities: [],
};

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof WireError || error instanceof InternalError) return error.code;
    throw error;
  }
  return "no error";
}

describe("TipDecoder", () => {
  it("is dead after a tip, and says so", () => {
    const decoder = new TipDecoder();
    expect(decoder.push(encodeTip(answer))?.tip).toEqual(answer);
    expect(decoder.missingBytes).toBe(0);
    expect(codeOf(() => decoder.push(encodeTip(answer)))).toBe("decoder_dead");
  });

  it("is dead after an error, and says so", () => {
    const decoder = new TipDecoder();
    expect(codeOf(() => decoder.push(new Uint8Array([9])))).toBe("unsupported_version");
    expect(codeOf(() => decoder.push(encodeTip(answer)))).toBe("decoder_dead");
  });

  it("gives the bytes behind the tip as a view on the chunk", () => {
    const chunk = new Uint8Array([...encodeTip(answer), 7, 8, 9]);
    const rest = new TipDecoder().push(chunk)?.rest;
    expect(rest).toEqual(new Uint8Array([7, 8, 9]));
    expect(rest?.buffer).toBe(chunk.buffer);
  });

  it("takes empty chunks at any point", () => {
    const decoder = new TipDecoder();
    const empty = new Uint8Array();
    expect(decoder.push(empty)).toBeUndefined();
    for (const byte of encodeTip(answer).subarray(0, -1)) {
      expect(decoder.push(new Uint8Array([byte]))).toBeUndefined();
      expect(decoder.push(empty)).toBeUndefined();
    }
  });

  it("refuses a length above the cap as soon as the length is there", () => {
    const decoder = new TipDecoder();
    // 16,385 in three bytes, of which the last decides.
    expect(decoder.push(new Uint8Array([1, 0x81, 0x80]))).toBeUndefined();
    expect(codeOf(() => decoder.push(new Uint8Array([0x01])))).toBe("frame_too_large");
  });

  it("takes a tip exactly at its cap and refuses one byte more", () => {
    const bytes = encodeTip(connect);
    const messageBytes = bytes.length - 2;
    const push = (maxTipBytes: number): unknown => new TipDecoder({ maxTipBytes }).push(bytes);
    expect(push(messageBytes)).toMatchObject({ tip: connect });
    expect(codeOf(() => push(messageBytes - 1))).toBe("frame_too_large");
  });

  it("takes the largest lawful parts together", () => {
    const text = "🧱".repeat(tipDefaults.maxTextLength);
    const inner = new Uint8Array(tipDefaults.maxInnerBytes).fill(5);
    const tip: Answer = { ...answer, text, inner };
    expect(encodedTipLength(tip)).toBe(encodeTip(tip).length);
    expect(new TipDecoder().push(encodeTip(tip))?.tip).toEqual(tip);
  });

  it("takes a Buffer as well, and the tip outlives it", () => {
    const chunk = Buffer.from(encodeTip(connect));
    const tip = new TipDecoder().push(chunk)?.tip;
    chunk.fill(0xff);
    expect(tip).toEqual(connect);
  });
});

describe("encodeTip", () => {
  it.each<[string, Tip]>([
    ["a server name with a space", { ...connect, server: "lan box" }],
    ["a trace id of 15 bytes", { ...connect, traceId: new Uint8Array(15) }],
    ["a client port of 65536", { ...connect, clientPort: 65_536 }],
    ["a client port that is no whole number", { ...connect, clientPort: 1.5 }],
    ["an inner layer of 8,193 bytes", { ...connect, inner: new Uint8Array(8_193) }],
    ["a target that is not canonical", { ...connect, target: "Printer.lan:631" }],
    ["257 services", { ...attach, services: Array<string>(257).fill("s") }],
    ["65 capabilities", { ...attach, capabilities: Array<number>(65).fill(1) }],
    ["a negative capability", { ...attach, capabilities: [-1] }],
    ["a status beyond 32 bits", { ...answer, status: 2 ** 32 }],
    ["a status that is no number", { ...answer, status: NaN }],
  ])("does not send %s", (_, tip) => {
    expect(codeOf(() => encodeTip(tip))).toBe("invariant");
  });

  it("refuses lawful parts whose sum is too large, by name and limit", () => {
    const services = Array.from({ length: 256 }, (_, index) => `s${index}`.padEnd(64, "x"));
    const encode = (): unknown => encodeTip({ ...attach, services });
    expect(codeOf(encode)).toBe("frame_too_large");
    expect(encode).toThrow(/16384/);
  });

  it("cuts texts for people to what may be sent, never inside a character", () => {
    const text = "🧱".repeat(1_100);
    const bytes = encodeTip({ ...answer, text });
    expect(encodedTipLength({ ...answer, text })).toBe(bytes.length);
    expect(new TipDecoder().push(bytes)?.tip).toEqual({ ...answer, text: "🧱".repeat(1_024) });
  });

  it("writes a lone surrogate as U+FFFD and counts it so", () => {
    const tip = { ...answer, text: "a\ud800b" };
    expect(encodedTipLength(tip)).toBe(encodeTip(tip).length);
    expect(new TipDecoder().push(encodeTip(tip))?.tip).toEqual({ ...answer, text: "a\ufffdb" });
  });
});

describe("the inner layer", () => {
  it("is refused above its limit, before it is parsed", () => {
    const large = new Uint8Array(tipDefaults.maxInnerBytes + 1);
    expect(codeOf(() => decodeForward(large))).toBe("malformed_message");
    expect(codeOf(() => decodeForwardAnswer(large))).toBe("malformed_message");
  });

  it("is refused without a target", () => {
    expect(codeOf(() => decodeForward(new Uint8Array()))).toBe("malformed_message");
  });

  it("is not sent with a target that is none", () => {
    const forward = { clientPort: 0, target: "", capabilities: [] };
    expect(codeOf(() => encodeForward(forward))).toBe("invariant");
  });
});

describe("statusOfError", () => {
  it("says which status answers a tip that could not be read", () => {
    expect(statusOfError(new WireError("unsupported_version", ""))).toBe(401);
    expect(statusOfError(new WireError("frame_too_large", ""))).toBe(400);
    expect(statusOfError(new Error("?"))).toBe(500);
  });
});
