import { describe, expect, it } from "vitest";
import { ConfigError } from "@culvert/runtime";
import { parseName, quoteText } from "./index.ts";

function refusal(text: string): ConfigError {
  try {
    parseName(text);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error(`${text} was taken for a name`);
}

describe("parseName", () => {
  it.each(["a", "0", "lan-box", "a.b_c-d", "x".repeat(64), "5900"])("takes %s", (text) => {
    expect(parseName(text)).toBe(text);
  });

  it.each([
    ["", "empty"],
    ["x".repeat(65), "64"],
    ["lan box", "allowed"],
    ["LAN-box", "lower case"],
    ["-box", "begin and end"],
    ["box.", "begin and end"],
    ["box\n", "control"],
    ["\u001b[2Jbox", "control"],
    ["büro", "non-ASCII"],
    ["a/b", "allowed"],
  ])("refuses %j and says why", (text, why) => {
    const error = refusal(text);
    expect(error.code).toBe("bad_name");
    expect(error.message).toContain(why);
    expect(error.message).toMatch(/^[\x20-\x7e…]+$/);
  });

  it("shows at most 80 characters of a long name", () => {
    const { message } = refusal("x".repeat(1_000));
    expect(message).toContain("x".repeat(80));
    expect(message).not.toContain("x".repeat(81));
    expect(message).toContain("1000");
  });
});

describe("quoteText", () => {
  it("escapes whatever a terminal could take for more than a letter", () => {
    expect(quoteText('a"\\\u0007\u202e\u{1f9f1}')).toBe('"a\\"\\\\\\u{7}\\u{202e}\\u{1f9f1}"');
  });

  it("cuts between characters, and counts what escaping adds", () => {
    const quoted = quoteText("\u0000".repeat(1_000));
    expect(quoted).toBe(`"${"\\u{0}".repeat(16)}"… (1000 characters)`);
    expect(quoteText("abc", 2)).toBe('"ab"… (3 characters)');
    expect(quoteText("ab", 2)).toBe('"ab"');
  });
});
