import { expect, test } from "vitest";
import { quicheFault } from "./errors.ts";

test.each([
  ["StreamReset(42)", { kind: "reset", code: 42 }],
  ["StreamStopped(7)", { kind: "stopped", code: 7 }],
  ["InvalidStreamState(12)", { kind: "no_stream" }],
  ["Done", { kind: "no_stream" }],
  ["StreamLimit", { kind: "stream_limit" }],
  ["TlsFail", { kind: "tls" }],
  ["FinalSize", { kind: "other", text: "FinalSize" }],
  ["Could not convert host to socket address", { kind: "other" }],
])("%s", (text, fault) => {
  expect(quicheFault(new Error(text))).toMatchObject(fault);
});

test("what is no error has a text too", () => {
  expect(quicheFault("odd")).toEqual({ kind: "other", text: "odd" });
});
