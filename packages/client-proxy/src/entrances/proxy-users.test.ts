import { expect, test } from "vitest";
import { ProxyUsers } from "./proxy-users.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const users = new ProxyUsers(
  new Map([
    ["ann", { reveal: () => "pass:wörd" }],
    ["bob", { reveal: () => "" }],
  ]),
);

test.each([
  ["ann", "pass:wörd", true],
  ["ann", "pass:word", false],
  ["ann", "", false],
  ["Ann", "pass:wörd", false],
  ["bob", "", true],
  ["bob", "x", false],
  ["eve", "pass:wörd", false],
  ["", "", false],
  ["__proto__", "", false],
])("user %j with %j: %s", (name, password, expected) => {
  expect(users.verify(bytes(name), bytes(password))).toBe(expected);
});

test("nobody is asked where there are no users, and nobody is known", () => {
  const none = new ProxyUsers(new Map());
  expect(none.required).toBe(false);
  expect(none.verify(bytes(""), bytes(""))).toBe(false);
  expect(users.required).toBe(true);
});
