import { InternalError, LimitError, WireError } from "@culvert/runtime";
import { expect, test } from "vitest";
import { isDefect } from "./fault-guard.ts";

test.each([
  [Object.assign(new Error("write EPIPE"), { code: "EPIPE" }), false],
  [Object.assign(new Error("getaddrinfo"), { code: "EAI_AGAIN" }), false],
  [new WireError("truncated", "half a tip"), false],
  [new LimitError("queue_full", "full"), false],
  [new InternalError("invariant", "this cannot be"), true],
  [Object.assign(new Error("wrong use"), { code: "ERR_INVALID_ARG_TYPE" }), true],
  [new RangeError("Maximum call stack size exceeded"), true],
  ["a text", true],
  [undefined, true],
])("%s: a defect is %s", (error, defect) => {
  expect(isDefect(error)).toBe(defect);
});
