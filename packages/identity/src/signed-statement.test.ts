import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { generateIdentity } from "./identity.ts";
import type { PeerId } from "./peer-id.ts";
import {
  signStatement,
  statementBytes,
  verifyStatement,
  type Statement,
} from "./signed-statement.ts";

const identity = generateIdentity();
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const statement: Statement = { label: "test-v1:", fields: [text("one"), text("two")] };

describe("signed statements", () => {
  test("the key that signed is the one that verifies", () => {
    const signature = signStatement(identity, statement);
    expect(signature).toHaveLength(64);
    expect(verifyStatement(identity.peerId, statement, signature)).toBe(true);
    expect(verifyStatement(generateIdentity().peerId, statement, signature)).toBe(false);
  });

  test("bytes are the label, then fields behind their lengths", () => {
    expect(Buffer.from(statementBytes(statement)).toString("latin1")).toBe(
      "test-v1:\0\0\0\x03one\0\0\0\x03two",
    );
  });

  test.each<[string, Statement]>([
    ["another label", { ...statement, label: "test-v2:" }],
    ["the label within a field", { label: "test-v1:", fields: [text("test-v1:onetwo")] }],
    ["the same bytes cut elsewhere", { ...statement, fields: [text("onet"), text("wo")] }],
    ["a field less", { ...statement, fields: [text("one")] }],
    ["an empty field more", { ...statement, fields: [...statement.fields, text("")] }],
    ["another order", { ...statement, fields: [text("two"), text("one")] }],
  ])("a signature does not vouch for %s", (_what, other) => {
    expect(verifyStatement(identity.peerId, other, signStatement(identity, statement))).toBe(false);
  });

  test("different lists of fields never have the same bytes", () => {
    const lists = fc.array(fc.uint8Array({ maxLength: 6 }), { maxLength: 4 });
    const bytes = (fields: readonly Uint8Array[]): string =>
      Buffer.from(statementBytes({ label: "p:", fields })).toString("hex");
    const shape = (fields: readonly Uint8Array[]): string =>
      fields.map((field) => Buffer.from(field).toString("hex")).join(",") + `/${fields.length}`;
    fc.assert(
      fc.property(lists, lists, (left, right) => {
        expect(bytes(left) === bytes(right)).toBe(shape(left) === shape(right));
      }),
    );
  });

  test("no bytes but the signature pass, and none throw", () => {
    const signature = signStatement(identity, statement);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        expect(verifyStatement(identity.peerId, statement, bytes)).toBe(false);
      }),
    );
    fc.assert(
      fc.property(fc.nat({ max: 511 }), (bit) => {
        const flipped = Uint8Array.from(signature);
        flipped[bit >> 3]! ^= 1 << (bit & 7);
        expect(verifyStatement(identity.peerId, statement, flipped)).toBe(false);
      }),
    );
    expect(verifyStatement("no peer id" as PeerId, statement, signature)).toBe(false);
  });
});
