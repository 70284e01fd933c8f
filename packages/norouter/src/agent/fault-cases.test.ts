import { createServer } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { encodeFrame, frameType } from "@culvert/wire";
import { agentFeatures } from "./features.ts";
import { AgentUnderTest } from "./agent-under-test.test-data.ts";

const hex = (text: string): Uint8Array => Buffer.from(text.replaceAll(" ", ""), "hex");

const args = {
  me: "127.0.42.100",
  loopback: { disable: true },
  stateDir: { disable: true },
};
const request = (changed: object, id = 7): object => ({
  type: "request",
  body: { id, op: "configure", args: { ...args, ...changed } },
});
const normal = (id: number) => ({
  kind: "result",
  id,
  op: "configure",
  data: { features: agentFeatures, version: "0.6.5" },
});

/** It goes on: a good configure is answered as ever. */
async function lives(agent: AgentUnderTest): Promise<void> {
  expect(await agent.configure(args, 99)).toEqual(normal(99));
  expect(agent.exitCode).toBeUndefined();
}

describe("what is no stream of frames ends it with 1", () => {
  it.each([
    ["1: wrong magic", "43000004 0001 0000", "not with 0x43"],
    ["2: length 0", "42000000 0000 0000", "length 0"],
    ["3: length 3", "42000003 0002 00 00", "length 3"],
    ["a frame of a text", "57656c636f6d65", "not with 0x57"],
    ["a JSON frame of 16 MiB", "42ffffff 0002 0000", "at most"],
  ])("%s", async (_what, bytes, text) => {
    const agent = new AgentUnderTest();
    agent.send(hex(bytes));
    expect(await agent.exited()).toBe(1);
    await agent.logged(text);
    expect(agent.frames).toEqual([]);
  });

  it.each([
    ["2: length 0 and nothing more", "42000000", "length 0"],
    ["7: nothing at all", "", "end of input"],
    ["8: the end within a frame", "42000010 0002", "within a NoRouter frame"],
  ])("%s", async (_what, bytes, text) => {
    const agent = new AgentUnderTest();
    agent.input.end(hex(bytes));
    expect(await agent.exited()).toBe(1);
    await agent.logged(text);
    expect(agent.frames).toEqual([]);
  });
});

describe("a frame that says nothing is skipped", () => {
  it.each([
    ["4: an empty message", hex("42000004 0002 0000"), "not JSON"],
    ["5: an unknown type", hex("42000004 0009 0000"), "unknown packet type 9"],
    [
      "9: a packet before it is configured",
      encodeFrame(frameType.l3, new Uint8Array(40).fill(0x45)),
      "received L3 before configuration",
    ],
    ["14: broken JSON", encodeFrame(frameType.json, Buffer.from("{nope")), "not JSON"],
  ])("%s", async (_what, bytes, text) => {
    const agent = new AgentUnderTest();
    agent.send(bytes);
    await agent.logged(text);
    expect(agent.frames).toEqual([]);
    await lives(agent);
  });

  it("13: a message of the type response", async () => {
    const agent = new AgentUnderTest();
    agent.sendJson({ type: "response", body: { id: 1 } });
    await agent.logged("unexpected message type");
    expect(agent.frames).toEqual([]);
    await lives(agent);
  });

  it("10: a packet shorter than its header, where the original crashes", async () => {
    const agent = new AgentUnderTest();
    await agent.configure(args);
    agent.send(encodeFrame(frameType.l3, new Uint8Array(10).fill(0x45)));
    agent.send(encodeFrame(frameType.l3, new Uint8Array(0)));
    agent.send(encodeFrame(9, new Uint8Array(0)));
    await agent.logged("unknown packet type 9");
    expect(agent.exitCode).toBeUndefined();
    expect(agent.packets).toEqual([]);
  });
});

describe("a good configure is answered", () => {
  it("6: whatever the reserved bytes say", async () => {
    const agent = new AgentUnderTest();
    agent.send(encodeFrame(frameType.json, Buffer.from(JSON.stringify(request({}))), 0xbeef));
    expect(await agent.message(7)).toEqual(normal(7));
    expect(Buffer.from(agent.frames[0]!.payload).toString()).toMatch(
      /^\{"type":"result","body":\{"request_id":7,"op":"configure","data":\{"features":\["loopback","tcp"/,
    );
  });

  it.each([
    ["17: an address that ends in 0", { me: "127.0.42.0" }],
    [
      "21: null for lists",
      {
        forwards: null,
        routes: [{ toCIDR: null, toHostnameGlob: null, via: "127.0.42.101" }],
        http: { listen: "127.0.0.1:0" },
      },
    ],
    [
      "22: a broken network that no proxy looks at",
      { routes: [{ toCIDR: ["nope"], via: "127.0.42.101" }] },
    ],
  ])("%s", async (_what, changed) => {
    const agent = new AgentUnderTest();
    expect(await agent.configure({ ...args, ...changed })).toEqual(normal(7));
  });

  it("20: keys in any case, and unknown ones", async () => {
    const agent = new AgentUnderTest();
    const { me, loopback, stateDir } = args;
    agent.sendJson({
      TYPE: "request",
      zzz: 1,
      Body: { ID: 9, OP: "configure", args: { ME: me, LOOPBACK: loopback, StateDir: stateDir } },
    });
    expect(await agent.message(9)).toEqual(normal(9));
  });

  it("11: once; the second is refused", async () => {
    const agent = new AgentUnderTest();
    agent.sendJson(request({}));
    agent.sendJson(request({}, 8));
    expect(await agent.message(7)).toEqual(normal(7));
    expect(await agent.message(8)).toMatchObject({ error: "agent is already configured" });
  });
});

describe("a configure that fails says why, and may be tried again", () => {
  const forward = { listen_port: 80, connect_ip: "127.0.0.1", connect_port: 80 };
  it.each([
    ["15: an IPv6 address", { me: "::1" }, "unexpected IP ::1"],
    ["16: no address", { me: undefined }, "unexpected IP <nil>"],
    ["18: a forward of UDP", { forwards: [{ ...forward, proto: "udp" }] }, 'be "tcp", got "udp"'],
    ["19: a forward of nothing", { forwards: [forward] }, 'be "tcp", got ""'],
    [
      "23: a broken network",
      { routes: [{ toCIDR: ["nope"], via: "127.0.42.101" }], http: { listen: "127.0.0.1:0" } },
      "invalid CIDR address: nope",
    ],
    [
      "24: a text for a list",
      { routes: [{ toCIDR: "10.0.0.0/8", via: "127.0.42.101" }] },
      "toCIDR",
    ],
    [
      "25: one port twice",
      { forwards: [80, 80].map((port) => ({ ...forward, listen_port: port, proto: "tcp" })) },
      "127.0.42.100:80",
    ],
    ["26: no address to listen on", { http: { listen: "nonsense" } }, "missing port in address"],
    [
      "27: its own DNS by UDP",
      { nameServers: [{ ip: args.me, port: 10053, proto: "udp" }] },
      'got "udp" as the built-in DNS port',
    ],
    [
      "two name servers of its own",
      { nameServers: [53, 54].map((port) => ({ ip: args.me, port, proto: "tcp" })) },
      "at most one",
    ],
  ])("%s", async (_what, changed, text) => {
    const agent = new AgentUnderTest();
    agent.sendJson(request(changed));
    const result = await agent.message(7);
    expect(result).toMatchObject({ kind: "result", op: "configure" });
    expect(result).toHaveProperty("error", expect.stringContaining(text));
    expect(result).not.toHaveProperty("data");
    await lives(agent);
  });

  it("12: an unknown op", async () => {
    const agent = new AgentUnderTest();
    agent.sendJson({ type: "request", body: { id: 3, op: "nope" } });
    expect(await agent.message(3)).toMatchObject({ error: 'unexpected JSON op: "nope"' });
    await lives(agent);
  });

  it("28: no args", async () => {
    const agent = new AgentUnderTest();
    agent.sendJson({ type: "request", body: { id: 3, op: "configure" } });
    expect(await agent.message(3)).toMatchObject({ error: "configure without args" });
    await lives(agent);
  });

  it("a port in use: nothing of what was opened before stays open", async () => {
    const me = "127.0.42.207";
    const blocker = createServer().listen(8082, me);
    onTestFinished(() => void blocker.close());
    await new Promise((resolve) => blocker.once("listening", resolve));
    const forwards = [8081, 8082].map((port) => ({
      listen_port: port,
      connect_ip: "127.0.0.1",
      connect_port: 1,
      proto: "tcp",
    }));
    const agent = new AgentUnderTest();
    const result = await agent.configure({ ...args, me, loopback: {}, forwards });
    expect(result).toHaveProperty("error", expect.stringContaining("127.0.42.207:8082"));
    const again = createServer().listen(8081, me);
    onTestFinished(() => void again.close());
    await new Promise((resolve, reject) => again.once("listening", resolve).once("error", reject));
  });
});
