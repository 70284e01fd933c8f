import { createSecretKey } from "node:crypto";
import { TransportError } from "@culvert/runtime";
import { silentLog, Registry } from "@culvert/telemetry";
import { memoryCarrierPair, VirtualClock } from "@culvert/testkit";
import { MproxyTunnel } from "@culvert/transport";
import type { ControlMessage } from "@culvert/wire";
import { describe, expect, it } from "vitest";
import { NameTable } from "../web/name-table.ts";
import { PortTable } from "../web/port-table.ts";
import type { PublicConnection } from "../web/public-device.ts";
import { webLimitDefaults } from "../web/web-options.ts";
import { TelebitMetrics } from "./metrics.ts";
import { mintToken } from "./mint-token.ts";
import { telebitLimitDefaults, telebitTunnelSettings } from "./telebit-options.ts";
import { TelebitSession } from "./telebit-session.ts";
import { TokenVerifier } from "./token-verifier.ts";

const secret = createSecretKey(Buffer.from("0123456789abcdef0123456789abcdef"));
const policy = { domains: ["*.example.com"], ports: [{ first: 20_000, last: 20_009 }] };
const visitor: PublicConnection = {
  service: "https",
  name: "a.example.com",
  servicePort: 443,
  tls: "passed",
  remote: { family: "IPv4", address: "192.0.2.1", port: 50_000 },
  local: { family: "IPv4", address: "192.0.2.2", port: 443 },
};

/** A session and the device at its other end, in memory and in virtual time. */
function bench(options: { bind?: (port: number) => Promise<void> } = {}) {
  const clock = new VirtualClock();
  const [ours, theirs] = memoryCarrierPair();
  const pings: number[] = [];
  Object.assign(ours, { ping: () => pings.push(clock.now()) });
  const tunnel = new MproxyTunnel(
    { clock, carrier: ours },
    { dialect: "telebit-relay", settings: telebitTunnelSettings },
  );
  const device = new MproxyTunnel(
    { clock, carrier: theirs },
    // The device keeps quiet, so that what the relay does is seen.
    { dialect: "telebit-device", settings: { keepAlive: 1e9 as never, idleTimeout: 2e9 as never } },
  );
  const heard: ControlMessage[] = [];
  device.control.on((message) => heard.push(message));
  device.allowStreams((_meta, stream) => {
    stream.on("error", () => undefined);
    stream.resume();
  });
  const names = new NameTable([], webLimitDefaults);
  const open = new Set<number>();
  const ports = new PortTable(async ({ port }) => {
    await options.bind?.(port);
    open.add(port);
    return {
      port,
      close: () => {
        open.delete(port);
        return Promise.resolve();
      },
    };
  }, 10);
  const session = new TelebitSession(
    {
      clock,
      log: silentLog,
      metrics: new TelebitMetrics(new Registry()),
      verifier: new TokenVerifier(clock, {
        secret,
        policy,
        policyOfPeer: () => undefined,
        audience: "",
      }),
      tables: {
        names,
        ports,
        portHost: "127.0.0.1",
        policy: { tls: "pass", http: "redirect" },
        reclaim: () => Promise.resolve(false),
      },
      tunnel,
      ping: () => new Promise(() => undefined),
    },
    {
      limits: telebitLimitDefaults,
      portHost: "127.0.0.1",
      publicHost: "relay.example.com",
      policy: { tls: "pass", http: "redirect" },
    },
  );
  session.start(undefined);
  const token = (scope: { domains: string[]; ports: number[] }, lifetimeMs?: number) =>
    mintToken(secret, {
      scope,
      nowMs: clock.wallNowMs(),
      expiresAtMs: lifetimeMs === undefined ? undefined : clock.wallNowMs() + lifetimeMs,
      audience: undefined,
    });
  const command = (id: number, name: string, ...args: unknown[]): void => {
    device.control.send({ type: "command", id, command: name, args });
  };
  /** Lets real cryptography finish, which virtual time does not wait for. */
  const answered = async (id: number): Promise<unknown> => {
    for (let turn = 0; turn < 500; turn += 1) {
      const found = heard.find((message) => message.type === "answer" && message.id === id);
      if (found?.type === "answer") return found.error;
      await clock.advance(0);
    }
    throw new Error(`command ${id} was not answered`);
  };
  return { clock, device, heard, names, open, pings, session, token, command, answered, theirs };
}

const scope = { domains: ["a.example.com"], ports: [20_000] };

describe("a session of a Telebit device", () => {
  it("enters what is granted, and frees all of it when the device is gone", async () => {
    const { clock, command, answered, names, open, session, token, theirs } = bench();
    command(5, "add_token", await token(scope));
    expect(await answered(5)).toBeNull();
    expect([...names.list()].map(({ pattern }) => pattern)).toEqual([
      "a.example.com",
      "*.a.example.com",
    ]);
    expect([...open]).toEqual([20_000]);
    expect(session.authorised).toBe(true);
    expect(session.status()).toMatchObject({
      remote: "memory:left",
      names: ["a.example.com"],
      ports: [20_000],
      connections: 0,
    });
    theirs.cut();
    await clock.advance(0);
    await session.released;
    expect(names.size).toBe(0);
    expect(open.size).toBe(0);
    expect(session.authorised).toBe(false);
    await expect(session.device.open(visitor, aborted(false))).rejects.toMatchObject({
      code: "no_session",
    });
    expect(clock.pendingTimers).toBe(0);
  });

  it("frees a port that was still being opened when the device left", async () => {
    let bound: () => void = () => undefined;
    const waiting = new Promise<void>((resolve) => (bound = resolve));
    const { clock, command, open, names, session, token, theirs } = bench({ bind: () => waiting });
    command(5, "add_token", await token(scope));
    for (let turn = 0; turn < 500 && names.size === 0; turn += 1) await clock.advance(0);
    theirs.cut();
    await clock.advance(0);
    expect(names.size).toBe(2);
    bound();
    await session.released;
    expect(names.size).toBe(0);
    expect(open.size).toBe(0);
  });

  it("gives nothing of a token whose port cannot be opened, and says no more than that", async () => {
    const failure = new TransportError("address_unavailable", "bind EACCES of a secret place");
    const { command, answered, names, token } = bench({ bind: () => Promise.reject(failure) });
    command(5, "add_token", await token(scope));
    expect(await answered(5)).toEqual({
      code: "E_INVALID_PORT",
      message: "one of its ports cannot be opened",
    });
    expect(names.size).toBe(0);
  });

  it("answers E_TIMEOUT where a port takes too long to open, and closes it when it opens", async () => {
    let bound: () => void = () => undefined;
    const waiting = new Promise<void>((resolve) => (bound = resolve));
    const { clock, command, answered, names, open, token } = bench({ bind: () => waiting });
    command(5, "add_token", await token(scope));
    for (let turn = 0; turn < 500 && names.size === 0; turn += 1) await clock.advance(0);
    await clock.advance(10_000);
    expect(await answered(5)).toMatchObject({ code: "E_TIMEOUT" });
    bound();
    await clock.advance(0);
    expect(names.size).toBe(0);
    expect(open.size).toBe(0);
  });

  it("ends what a token gave when the token ends, its connections too", async () => {
    const { clock, command, answered, names, session, token, heard } = bench();
    command(5, "add_token", await token(scope, 60_000));
    command(6, "add_token", await token({ domains: ["b.example.com"], ports: [] }));
    await answered(5);
    await answered(6);
    const ending = await session.device.open(visitor, aborted(false));
    const staying = await session.device.open(
      { ...visitor, name: "x.b.example.com" },
      aborted(false),
    );
    for (const stream of [ending, staying]) stream.on("error", () => undefined).write("x");
    await clock.advance(60_000);
    expect(ending.destroyed).toBe(true);
    expect(staying.destroyed).toBe(false);
    expect([...names.list()].map(({ pattern }) => pattern)).toEqual([
      "b.example.com",
      "*.b.example.com",
    ]);
    expect(heard.at(-1)).toMatchObject({ type: "notice", error: { code: "E_INVALID_TOKEN" } });
  });

  it("pings after two minutes of silence, and gives the device up ten seconds later", async () => {
    const { clock, command, answered, session, token, pings } = bench();
    command(5, "add_token", await token(scope));
    await answered(5);
    await clock.advance(119_000);
    expect(pings).toEqual([]);
    await clock.advance(2_000);
    expect(pings.length).toBeGreaterThan(0);
    // Any sign of life will do.
    command(6, "frobnicate");
    await clock.advance(119_000);
    expect(session.authorised).toBe(true);
    await clock.advance(15_000);
    await session.released;
    expect(session.authorised).toBe(false);
  });

  it("opens no connection that a header could not name, or that nobody waits for", async () => {
    const { command, answered, session, token } = bench();
    command(5, "add_token", await token(scope));
    await answered(5);
    const name = `${"l".repeat(60)}.`.repeat(4).slice(0, 210) + ".a.example.com";
    const { device } = session;
    await expect(device.open({ ...visitor, name }, aborted(false))).rejects.toMatchObject({
      code: "refused",
    });
    await expect(device.open({ ...visitor, name: "" }, aborted(false))).rejects.toMatchObject({
      code: "refused",
    });
    await expect(device.open(visitor, aborted(true))).rejects.toMatchObject({ code: "aborted" });
    expect(device.connections).toBe(0);
  });

  it("has as many connections as it may, and no more", async () => {
    const { command, answered, session, token } = bench();
    command(5, "add_token", await token(scope));
    await answered(5);
    const { device } = session;
    const { connectionsPerDevice } = telebitLimitDefaults;
    const open = [];
    for (let port = 1; port <= connectionsPerDevice; port += 1) {
      const remote = { ...visitor.remote, port };
      open.push(await device.open({ ...visitor, remote }, aborted(false)));
    }
    await expect(device.open(visitor, aborted(false))).rejects.toMatchObject({
      code: "too_many_connections",
    });
    for (const stream of open) stream.destroy();
    await new Promise((resolve) => setImmediate(resolve));
    expect(device.connections).toBe(0);
  });
});

function aborted(already: boolean): { signal: AbortSignal } {
  const controller = new AbortController();
  if (already) controller.abort();
  return { signal: controller.signal };
}
