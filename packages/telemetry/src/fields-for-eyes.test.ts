import { expect, test } from "vitest";
import { fieldsForEyes } from "./fields-for-eyes.ts";

test("fields are names and values, without what the line says already", () => {
  const fields = {
    level: "info",
    time: "2023-11-14T22:13:20.000Z",
    event: "relay.session.opened",
    role: "relay",
    peer: "lan-box",
    remote: "10.0.0.2:33676",
    services: ["ssh", "web"],
    transient: false,
    reason: "came too late",
    nothing: undefined,
  };
  expect(fieldsForEyes(fields, false)).toBe(
    'peer=lan-box remote=10.0.0.2:33676 services=[ssh, web] transient=false reason="came too late"',
  );
});

test("an error is its message and code, and everything where the whole is asked for", () => {
  const error = {
    name: "TransportError",
    message: "nobody answers",
    code: "dial_failed",
    data: {},
  };
  expect(fieldsForEyes({ error }, false)).toBe('error="nobody answers (dial_failed)"');
  expect(fieldsForEyes({ error }, true)).toBe(
    'error={name: TransportError, message: "nobody answers", code: dial_failed, data: {}}',
  );
});

test("what would fill the screen is only named, unless the whole is asked for", () => {
  const peers = Array.from({ length: 100 }, (_, index) => ({ name: `peer-${index}` }));
  expect(fieldsForEyes({ config: { peers }, file: "a" }, false)).toBe("config=… file=a");
  expect(fieldsForEyes({ config: { peers } }, true)).toContain("{name: peer-99}");
});

test("no value reaches the terminal as a control sequence", () => {
  const fields = { a: "x\u001b[2Jy", b: "x\u009b2Jy", c: ["\u202e"], d: "line\nfeed" };
  const text = fieldsForEyes(fields, false);
  expect(text).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  expect(text).toBe(String.raw`a="x\u001b[2Jy" b="x\u009b2Jy" c=["\u202e"] d="line\nfeed"`);
});
