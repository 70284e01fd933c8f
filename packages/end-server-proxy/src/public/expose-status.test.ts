import { Status, type AttachAnswer, type ExposeAnswer } from "@culvert/wire";
import { describe, expect, it } from "vitest";
import type { ExposeRule } from "./expose-rule.ts";
import { exposesOf, exposeStatuses } from "./expose-status.ts";

const rule: ExposeRule = {
  name: "app.example.com",
  port: 0,
  to: { kind: "tcp", host: "::1", port: 3000 },
  tls: "relay",
  certificate: undefined,
  proxyProtocol: "off",
  forwardedFor: true,
  ssh: undefined,
};
const rules: readonly ExposeRule[] = [
  rule,
  { ...rule, name: "", port: 2222, to: { kind: "unix", path: "/run/app.sock" } },
];
const granted: ExposeAnswer = {
  name: "app.example.com",
  port: 0,
  status: Status.ok,
  text: "",
  httpsPort: 443,
  httpPort: 80,
  tlsEnded: true,
};

function answer(...exposes: readonly ExposeAnswer[]): AttachAnswer {
  const said = { kind: "attachAnswer", status: Status.ok, text: "", name: "lan-box" } as const;
  const answered = { ...said, software: "", capabilities: [] };
  return exposes.length === 0 ? answered : { ...answered, exposes };
}

describe("the state of what is exposed", () => {
  it("asks for names and ports", () => {
    expect(exposesOf(rules)).toEqual([
      { name: "app.example.com", port: 0 },
      { name: "", port: 2222 },
    ]);
  });

  it("waits while there is no session, and is refused by a relay that knows nothing of it", () => {
    const waiting = exposeStatuses(rules, undefined);
    expect(waiting.map(({ state }) => state)).toEqual(["waiting", "waiting"]);
    const old = exposeStatuses(rules, answer());
    expect(old.map(({ state }) => state)).toEqual(["refused", "refused"]);
    expect(old[0]?.text).toBe("the relay has no public entrance");
  });

  it.each([
    [{}, "https://app.example.com"],
    [{ httpsPort: 8443 }, "https://app.example.com:8443"],
    [{ httpsPort: 0 }, "http://app.example.com"],
    [{ httpsPort: 0, httpPort: 8080 }, "http://app.example.com:8080"],
  ])("with %j is public at %s", (change, url) => {
    const [status] = exposeStatuses(rules, answer({ ...granted, ...change }));
    expect(status).toEqual({
      expose: "app.example.com",
      to: "[::1]:3000",
      tls: "relay",
      state: "granted",
      text: "",
      url,
    });
  });

  it("tells the relay's own words of a refusal, else its status, and a port", () => {
    const port = { ...granted, name: "", port: 2222 };
    const denied = { ...granted, status: Status.permission_denied_by_relay };
    const [one, other] = exposeStatuses(rules, answer({ ...denied, text: "add a line" }, port));
    expect(one).toMatchObject({ state: "refused", text: "add a line", url: "" });
    expect(other).toMatchObject({
      expose: "port 2222",
      to: "unix:/run/app.sock",
      state: "granted",
      url: "tcp port 2222",
    });
    const [silent] = exposeStatuses(rules, answer(denied));
    expect(silent?.text).toBe("permission_denied_by_relay");
  });
});
