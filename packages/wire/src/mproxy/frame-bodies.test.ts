import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WireError } from "@culvert/runtime";
import {
  formatByteCount,
  formatControlMessage,
  formatErrorBody,
  parseByteCount,
  parseControlMessage,
  parseErrorBody,
  type ControlMessage,
} from "./index.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("error bodies", () => {
  it.each(["null", "5", '"x"', "true", "[]", "[1]"])("refuses %s", (text) => {
    expect(() => parseErrorBody(bytes(text))).toThrow(WireError);
  });

  it.each([
    ["", { message: "", code: "E_UNKNOWN_ERR" }],
    [" ", { message: "", code: "E_UNKNOWN_ERR" }],
    ["{}", { message: "", code: "E_UNKNOWN_ERR" }],
    ["ECONNRESET", { message: "ECONNRESET", code: "E_UNKNOWN_ERR" }],
    ['{"message":5,"code":{}}', { message: "", code: "E_UNKNOWN_ERR" }],
    ['{"message":"m","code":"E_NO_CONN","x":1}', { message: "m", code: "E_NO_CONN" }],
  ])("takes %j", (text, error) => {
    expect(parseErrorBody(bytes(text))).toEqual(error);
  });

  it("stays below what a peer takes, whatever the text", () => {
    for (const message of ["\u0000".repeat(5_000), "例".repeat(5_000), '"'.repeat(5_000)]) {
      expect(formatErrorBody({ message, code: "E_RESET" }).length).toBeLessThan(4_096);
    }
  });
});

describe("byte counts", () => {
  it("come back", () => {
    for (const count of [0, 1, 1_048_577, Number.MAX_SAFE_INTEGER]) {
      expect(parseByteCount(formatByteCount(count))).toBe(count);
    }
    expect(parseByteCount(bytes(""))).toBeUndefined();
    expect(parseByteCount(bytes(" "))).toBeUndefined();
  });

  it.each(["-1", "1.5", "1e3", "NaN", "x", "null", "[]", "9007199254740993", "1".repeat(30)])(
    "refuses %s",
    (text) => {
      expect(() => parseByteCount(bytes(text))).toThrow(WireError);
    },
  );
});

describe("control messages", () => {
  const messages: readonly (readonly [string, ControlMessage])[] = [
    ['[1,"hello",[1],["a"]]', { type: "command", id: 1, command: "hello", args: [[1], ["a"]] }],
    ["[-7,null]", { type: "answer", id: 7, error: null, results: [] }],
    ['[-7,{"code":"E"}]', { type: "answer", id: 7, error: { code: "E" }, results: [] }],
    ['[-7,null,"x"]', { type: "answer", id: 7, error: null, results: ["x"] }],
    ['[0,{"code":"E"}]', { type: "notice", error: { code: "E" } }],
  ];

  it.each(messages)("%s", (text, message) => {
    expect(parseControlMessage(bytes(text))).toEqual(message);
    expect(Buffer.from(formatControlMessage(message)).toString()).toBe(text);
  });

  it.each([
    "",
    " ",
    "null",
    "{}",
    "5",
    "[]",
    '["hello"]',
    "[1]",
    "[1,2]",
    '[1.5,"x"]',
    "[1e99]",
    "[",
  ])("refuses %j", (text) => {
    expect(() => parseControlMessage(bytes(text))).toThrow(WireError);
  });

  it("never shows arguments, which may be tokens", () => {
    const bad = bytes(`[0.5, "add_token", "secret-secret-secret"]`);
    expect(() => parseControlMessage(bad)).toThrow(
      expect.not.objectContaining({
        message: expect.stringContaining("secret") as string,
      }) as Error,
    );
  });

  it("refuses to send what no peer takes", () => {
    const message = { type: "notice", error: "x".repeat(70_000) } as const;
    expect(() => formatControlMessage(message)).toThrow(WireError);
  });

  it("answers any bytes with a message or WireError", () => {
    const deep = fc.nat({ max: 30_000 }).map((depth) => bytes("[".repeat(depth)));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.json().map(bytes), deep), (body) => {
        for (const parse of [parseControlMessage, parseErrorBody, parseByteCount]) {
          try {
            parse(body);
          } catch (error) {
            expect(error).toBeInstanceOf(WireError);
          }
        }
      }),
    );
  });
});
