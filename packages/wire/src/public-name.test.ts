import { ConfigError } from "@culvert/runtime";
import { describe, expect, it } from "vitest";
import { coversPublicName, parsePublicName } from "./index.ts";

describe("a public name", () => {
  it.each([
    ["App.Example.com", "app.example.com"],
    ["*.box.example.com", "*.box.example.com"],
    ["xn--bcher-kva.example", "xn--bcher-kva.example"],
    ["1.example.com", "1.example.com"],
  ])("%s is read as %s", (text, name) => {
    expect(parsePublicName(text)).toBe(name);
  });

  it.each([
    "",
    "*",
    "*.",
    "a..b",
    ".a",
    "a.",
    "-a.example",
    "a_b.example",
    "evil,tcp,.a.example",
    "a\n.example",
    "192.0.2.1",
    "127.1",
    "*.*.example",
    `${"a".repeat(64)}.example`,
    Array.from({ length: 64 }, () => "abc").join("."),
  ])("%j is none", (text) => {
    expect(() => parsePublicName(text)).toThrow(ConfigError);
  });

  it.each([
    ["app.example.com", "app.example.com", true],
    ["app.example.com", "x.app.example.com", false],
    ["*.example.com", "app.example.com", true],
    ["*.example.com", "a.b.example.com", true],
    ["*.example.com", "*.example.com", true],
    ["*.example.com", "*.b.example.com", true],
    ["*.example.com", "example.com", false],
    ["*.example.com", "badexample.com", false],
    ["a.example.com", "*.example.com", false],
  ])("%s covers %s: %s", (granted, name, covers) => {
    expect(coversPublicName(granted, name)).toBe(covers);
  });
});
