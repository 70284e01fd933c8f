import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { WireError } from "@culvert/runtime";
import {
  decodeForward,
  decodeForwardAnswer,
  encodedTipLength,
  encodeForward,
  encodeForwardAnswer,
  encodeTip,
  Status,
  statusName,
  TipDecoder,
  type Forward,
  type ForwardAnswer,
  type Tip,
} from "./index.ts";

/** One golden vector: annotated bytes, and what they mean. Byte fields of the meaning are written `hex:…`. */
interface Vector {
  readonly name: string;
  readonly section: string;
  readonly bytes: readonly (readonly [hex: string, meaning: string])[];
}

const protocol = readFileSync(new URL("../PROTOCOL.md", import.meta.url), "utf8");

function load<T>(file: string): (Vector & T)[] {
  const text = readFileSync(new URL(`./vectors/${file}.json`, import.meta.url), "utf8");
  return JSON.parse(text, (_, value: unknown) =>
    typeof value === "string" && value.startsWith("hex:") ? unhex(value.slice(4)) : value,
  ) as (Vector & T)[];
}

function unhex(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, "hex"));
}

function bytesOf(vector: Vector): Uint8Array {
  return unhex(vector.bytes.map(([hex]) => hex).join(""));
}

const tips = load<{ tip: Tip }>("tips");
const statuses = load<{ tip: Tip; statusName: string }>("statuses");
const tolerated = load<{ tip: Tip }>("tolerated");
const refused = load<{ error: string }>("refused");
const inner = load<
  { message: "forward"; value: Forward } | { message: "forwardAnswer"; value: ForwardAnswer }
>("inner");

describe("golden vectors", () => {
  it.each([...tips, ...statuses])("$name encodes to its bytes and back", (vector) => {
    const bytes = bytesOf(vector);
    expect(encodeTip(vector.tip)).toEqual(bytes);
    expect(encodedTipLength(vector.tip)).toBe(bytes.length);
    expect(new TipDecoder().push(bytes)).toEqual({ tip: vector.tip, rest: new Uint8Array(0) });
  });

  it.each(tolerated)("$name is understood", (vector) => {
    expect(new TipDecoder().push(bytesOf(vector))?.tip).toEqual(vector.tip);
  });

  it.each(refused)("$name is refused", (vector) => {
    const decoder = new TipDecoder();
    let thrown: unknown;
    try {
      decoder.push(bytesOf(vector));
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(WireError);
    expect((thrown as WireError).code).toBe(vector.error);
    expect((thrown as WireError).message).toMatch(/^[\x20-\x7e…]{1,400}$/);
  });

  it.each(inner)("$name encodes to its bytes and back", (vector) => {
    const bytes = bytesOf(vector);
    if (vector.message === "forward") {
      expect(encodeForward(vector.value)).toEqual(bytes);
      expect(decodeForward(bytes)).toEqual(vector.value);
    } else {
      expect(encodeForwardAnswer(vector.value)).toEqual(bytes);
      expect(decodeForwardAnswer(bytes)).toEqual(vector.value);
    }
  });

  it("names every status, and shows an unknown one as its number", () => {
    for (const { tip, statusName: name } of statuses) {
      expect("status" in tip && statusName(tip.status)).toBe(name);
    }
    const covered = statuses.map(({ tip }) => ("status" in tip ? tip.status : 0));
    expect(covered).toEqual(expect.arrayContaining(Object.values(Status)));
  });

  it("covers every kind and cites sections that exist", () => {
    const kinds = new Set(tips.map(({ tip }) => tip.kind));
    expect([...kinds].sort()).toEqual(["answer", "attach", "attachAnswer", "connect", "offer"]);
    for (const { section } of [...tips, ...statuses, ...tolerated, ...refused, ...inner]) {
      expect(protocol).toMatch(
        new RegExp(`^##+ ${section.replace("PROTOCOL.md §", "")}\\.? `, "m"),
      );
    }
  });

  it("keeps the status table of the normative text and of the code alike", () => {
    const rows = [...protocol.matchAll(/^\| (\d{3}) +\| (\w+) +\|/gm)];
    const table = new Map(rows.map(([, code, name]) => [name, Number(code)]));
    expect(table).toEqual(new Map(Object.entries(Status)));
  });
});
