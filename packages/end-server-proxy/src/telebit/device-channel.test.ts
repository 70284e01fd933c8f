import fc from "fast-check";
import { seededRandom } from "@culvert/testkit";
import type { ControlMessage } from "@culvert/wire";
import { describe, expect, it } from "vitest";
import { DeviceChannel, grantOf, type DeviceEffect } from "./device-channel.ts";

const hello: ControlMessage = {
  type: "command",
  id: 1,
  command: "hello",
  args: [[1], ["add_token", "delete_token", "auth", "authn", "authz"]],
};

function channel(...tokens: string[]): DeviceChannel {
  return new DeviceChannel(seededRandom(5), tokens);
}

function sentIds(effects: readonly DeviceEffect[]): number[] {
  return effects.flatMap((effect) =>
    effect.kind === "send" && effect.message.type === "command" ? [effect.message.id] : [],
  );
}

function answerTo(id: number, error: unknown = null): ControlMessage {
  return { type: "answer", id, error, results: [] };
}

describe("the device's control channel", () => {
  it("sends every token after hello, answers hello, and is attached when all are taken", () => {
    const device = channel("one", "two");
    const effects = device.handleMessage(hello);
    expect(effects).toMatchObject([
      { kind: "send", message: { command: "add_token", args: ["one"] } },
      { kind: "send", message: { command: "add_token", args: ["two"] } },
      { kind: "send", message: { type: "answer", id: 1, error: null } },
    ]);
    const [first = 0, second = 0] = sentIds(effects);
    expect(device.handleMessage(answerTo(second))).toEqual([]);
    expect(device.handleMessage(answerTo(first))).toEqual([{ kind: "attached" }]);
    expect(device.handleMessage(answerTo(first))).toEqual([]);
    expect(sentIds(device.handleMessage(hello))).toEqual([]);
  });

  it("tells what the real relay grants, and adds up several grants", () => {
    const device = channel("one");
    const grant = [
      ["ssh+https", "a.example.com", 443],
      ["ssh", "ssh.localhost", [13_031]],
      ["tcp", "tcp.localhost", [13_031]],
      ["https", "a.example.com"],
      [null],
    ];
    const message = { type: "command", id: 2, command: "grant", args: [grant] } as const;
    expect(device.handleMessage(message)).toEqual([
      { kind: "granted", grant: { names: ["a.example.com"], ports: [13_031] } },
    ]);
    const more = { ...message, args: [[["https", "b.example.com"]]] };
    expect(device.handleMessage(more)).toEqual([
      { kind: "granted", grant: { names: ["a.example.com", "b.example.com"], ports: [13_031] } },
    ]);
  });

  it.each([
    [{ message: "no\u001b[2J", code: "E_INVALID_TOKEN" }, /E_INVALID_TOKEN: no\\u\{1b\}/],
    [{}, /does not say why/],
    ["bad", /"bad"/],
  ])("tells a refusal of %j in words", (error, words) => {
    const device = channel("one");
    const [id = 0] = sentIds(device.handleMessage(hello));
    const [effect] = device.handleMessage(answerTo(id, error));
    expect(effect).toMatchObject({ kind: "refused" });
    expect((effect as { text: string }).text).toMatch(words);
  });

  it("speaks version 1 only, and answers what it does not know", () => {
    const device = channel("one");
    const versions = { ...hello, args: [[2]] };
    expect(device.handleMessage(versions).at(-1)).toMatchObject({ kind: "refused" });
    const strange = { type: "command", id: 9, command: "format_disk", args: [] } as const;
    expect(device.handleMessage(strange)).toMatchObject([
      { kind: "send", message: { id: 9, error: { code: "E_UNKNOWN_COMMAND" } } },
    ]);
    expect(device.handleMessage({ type: "notice", error: { message: "x" } })).toEqual([
      { kind: "notice", text: '"x"' },
    ]);
  });

  it("takes grants of any shape, and keeps little of them", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const { names, ports } = grantOf(value);
        expect(names.length + ports.length).toBeLessThanOrEqual(512);
      }),
    );
    const many = Array.from({ length: 10_000 }, (_, at) => ["https", `n${at}.example.com`]);
    expect(grantOf(many).names.length).toBe(256);
  });
});
