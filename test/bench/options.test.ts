import { expect, it } from "vitest";
import { contradiction, parseArguments, type Arguments } from "./options.ts";

const checkout = new URL("../..", import.meta.url).pathname;

it.each<[string, Partial<Arguments>, string]>([
  ["a loss without a path that has one", { loss: 1 }, "--loss needs --path veth"],
  ["a part of no document", { part: ["idle"] }, "--part needs --document"],
  ["two runs at once", { growth: true, document: "x.md" }, "--growth and --document"],
  ["another checkout that is not there", { against: "/nowhere" }, "no checkout of Culvert at /now"],
  ["a program that no peer needs", { peer: new Map([["ratholes", "/bin/true"]]) }, "rathole"],
  [
    "a program that is not there",
    { peer: new Map([["frpc", "/no/frpc"]]) },
    "There is no /no/frpc",
  ],
])("the bench refuses %s", (_, wrong, text) => {
  expect(contradiction({ ...parse(), ...wrong })).toContain(text);
});

it.each([
  [],
  ["--quick", "--only", "bulk,echo"],
  ["--path", "veth", "--loss", "1"],
  ["--document", "--part", "idle"],
  ["--against", checkout],
  ["--peer", "rathole=/bin/true"],
])("the bench takes %j %j %j %j", (...args) => {
  expect(contradiction(parse(...args))).toBeUndefined();
});

function parse(...args: readonly string[]): Arguments {
  return parseArguments(["node", "bench", ...args]);
}
