import { expect, test } from "vitest";
import { formatCloseReason } from "./close-reason.ts";
import { CulvertError, errorText, LimitError, systemCode, TransportError } from "./errors.ts";

test("an error carries its code, its class, its facts and its cause", () => {
  const cause = new Error("below");
  const error = new LimitError("queue_full", "too many", { data: { limit: 3 }, cause });
  expect(error).toBeInstanceOf(CulvertError);
  expect(error).toMatchObject({
    name: "LimitError",
    code: "queue_full",
    data: { limit: 3 },
    cause,
  });
  expect(new TransportError("timeout", "late")).toMatchObject({ code: "timeout", data: {} });
});

test("any thrown value has a text, and a system code if it is a system error", () => {
  expect(errorText(new Error("text"))).toBe("text");
  expect(errorText("plain")).toBe("plain");
  const tried = [
    new Error("connect ECONNREFUSED ::1:1"),
    new Error("connect ECONNREFUSED 127.0.0.1:1"),
  ];
  expect(errorText(new AggregateError(tried))).toBe(
    "connect ECONNREFUSED ::1:1; connect ECONNREFUSED 127.0.0.1:1",
  );
  expect(systemCode(Object.assign(new Error("x"), { code: "EADDRINUSE" }))).toBe("EADDRINUSE");
  expect([systemCode({ code: 5 }), systemCode(null), systemCode("x")]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});

test("a close reason reads as blame, code and text", () => {
  expect(formatCloseReason({ by: "timeout", code: "idle", text: "nothing heard" })).toBe(
    "timeout (idle): nothing heard",
  );
  expect(formatCloseReason({ by: "us", code: "shutdown", text: "" })).toBe("us (shutdown)");
});
