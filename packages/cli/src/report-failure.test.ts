import { ConfigError, InternalError, TransportError } from "@culvert/runtime";
import { expect, test } from "vitest";
import { reportFailure } from "./report-failure.ts";

test.each([
  [new ConfigError("bad_config", "x.yaml: drain: wrong"), 2, "culvert: x.yaml: drain: wrong\n"],
  [new TransportError("address_in_use", ":1 is in use"), 1, "culvert: :1 is in use\n"],
  [new InternalError("invariant", "odd"), 1, "culvert: odd\n"],
  [Object.assign(new Error("EACCES: no"), { code: "EACCES" }), 1, "culvert: EACCES: no\n"],
])("%s is one line and exit code %i", (error, code, line) => {
  let text = "";
  expect(reportFailure(error, { write: (part) => (text += part) })).toBe(code);
  expect(text).toBe(line);
});

test("a defect keeps its stack", () => {
  let text = "";
  expect(reportFailure(new TypeError("odd"), { write: (part) => (text += part) })).toBe(1);
  expect(text).toMatch(/unexpected error, please report it: TypeError: odd\n {4}at /);
});
