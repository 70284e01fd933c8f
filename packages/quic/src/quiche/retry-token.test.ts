import fc from "fast-check";
import { expect, test } from "vitest";
import { RetryTokens } from "./retry-token.ts";

const tokens = new RetryTokens(Buffer.alloc(32, 1), 10_000);
const originalDcid = Buffer.from("0011223344556677", "hex");
const claim = {
  from: { host: "192.0.2.7", port: 4433 },
  retryScid: Buffer.alloc(16, 9),
};
const nowMs = 123_456.7;
const token = tokens.mint({ ...claim, originalDcid }, nowMs);

test("a token gives the original connection id back", () => {
  expect(tokens.check(token, claim, nowMs + 5_000)).toEqual(originalDcid);
});

test("a token ends with its lifetime", () => {
  expect(tokens.check(token, claim, nowMs + 9_999)).toBeDefined();
  expect(tokens.check(token, claim, nowMs + 10_002)).toBeUndefined();
});

test.each([
  ["another address", { ...claim, from: { host: "192.0.2.8", port: 4433 } }],
  ["another port", { ...claim, from: { host: "192.0.2.7", port: 4434 } }],
  ["another connection id", { ...claim, retryScid: Buffer.alloc(16, 8) }],
])("a token does not serve %s", (_name, other) => {
  expect(tokens.check(token, other, nowMs)).toBeUndefined();
});

test("a token of another process is refused", () => {
  const others = new RetryTokens(Buffer.alloc(32, 2));
  expect(others.check(token, claim, nowMs)).toBeUndefined();
});

test("a changed token is refused", () => {
  fc.assert(
    fc.property(fc.nat(token.length - 1), fc.integer({ min: 1, max: 255 }), (index, mask) => {
      const changed = Buffer.from(token);
      changed.writeUInt8(changed.readUInt8(index) ^ mask, index);
      expect(tokens.check(changed, claim, nowMs)).toBeUndefined();
    }),
  );
});

test("any bytes are refused, and nothing throws", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      expect(tokens.check(Buffer.from(bytes), claim, nowMs)).toBeUndefined();
    }),
  );
});
