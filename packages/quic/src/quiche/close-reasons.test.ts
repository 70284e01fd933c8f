import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeReason, reasonFromQuiche } from "./close-reasons.ts";

const nothing = { peer: undefined, local: undefined, timedOut: false, fault: undefined };

function roundTrip(code: string, text: string): unknown {
  const reason = Buffer.from(encodeReason({ by: "us", code, text })).toString();
  return reasonFromQuiche({ ...nothing, peer: { isApp: true, code: 0, reason } });
}

test("the peer's application gets our code and text", () => {
  const text = "a newer session took over: yours";
  expect(roundTrip("superseded", text)).toEqual({ by: "peer-app", code: "superseded", text });
});

test("a long text is cut between characters", () => {
  const reason = encodeReason({ by: "us", code: "x", text: "ü".repeat(1_000) });
  expect(reason.length).toBeLessThanOrEqual(240);
  expect(Buffer.from(reason).toString()).not.toContain("\ufffd");
});

test("whatever a peer writes becomes one short line", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 500 }), (reason) => {
      const { text } = reasonFromQuiche({ ...nothing, peer: { isApp: true, code: 7, reason } });
      expect(text).not.toMatch(/[\p{Cc}\u2028]/u);
      expect(text.length).toBeLessThanOrEqual(240);
    }),
  );
});

test.each([
  ["a foreign phrase", { peer: { isApp: true, code: 7, reason: "Bye" } }, "peer-app", "app_7"],
  ["an empty phrase", { peer: { isApp: true, code: 0, reason: "" } }, "peer-app", "closed"],
  [
    "a TLS alert",
    { peer: { isApp: false, code: 0x12a, reason: "" } },
    "peer-stack",
    "tls_alert_42",
  ],
  [
    "a protocol error",
    { peer: { isApp: false, code: 10, reason: "" } },
    "peer-stack",
    "protocol_violation",
  ],
  ["silence", { timedOut: true }, "timeout", "idle"],
  ["our stack", { local: { isApp: false, code: 3, reason: "" } }, "us", "flow_control_error"],
  ["a fault", { fault: { kind: "other", text: "InvalidState" } as const }, "us", "engine_fault"],
  ["a stateless reset", {}, "peer-stack", "stateless_reset"],
])("blame: %s", (_name, facts, by, code) => {
  expect(reasonFromQuiche({ ...nothing, ...facts })).toMatchObject({ by, code });
});
