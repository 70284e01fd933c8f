import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { millis, systemClock, TransportError, type Clock, type Millis } from "@culvert/runtime";
import { createRegistry, silentLog } from "@culvert/telemetry";
import { memoryCarrierPair, seededRandom, VirtualClock, waitUntil } from "@culvert/testkit";
import { MproxyTunnel, type Carrier, type Tunnel } from "@culvert/transport";
import type { ControlMessage } from "@culvert/wire";
import { describe, expect, it, onTestFinished } from "vitest";
import { ConnectionLedger } from "../connection-ledger.ts";
import type { ServiceTarget } from "../exits/allow-list.ts";
import { dialService } from "../exits/dial-service.ts";
import { EndServerMetrics } from "../metrics.ts";
import { PublicDesk } from "../public/public-desk.ts";
import { TelebitMetrics } from "./metrics.ts";
import { TelebitDevice } from "./telebit-device.ts";

const name = "app.example.com";
const retry = { first: millis(1_000), cap: millis(30_000), factor: 2 };

/** A device whose relay is dialled as the test says; it serves `name` by a service. */
function deviceOf(
  clock: Clock,
  dial: () => Promise<Carrier>,
  to: ServiceTarget = { kind: "tcp", host: "127.0.0.1", port: 1 },
): TelebitDevice {
  const registry = createRegistry();
  const deps = { clock, log: silentLog, metrics: new EndServerMetrics(registry) };
  const desk = new PublicDesk(
    {
      ...deps,
      ledger: new ConnectionLedger(deps),
      dial: (where, signal) => dialService(where, { clock, timeout: millis(2_000), signal }),
    },
    [
      {
        ...{ name, port: 0, to, tls: "relay", certificate: undefined },
        ...{ proxyProtocol: "off", forwardedFor: true, ssh: undefined },
      },
    ],
  );
  const device = new TelebitDevice(
    {
      ...{ clock, random: seededRandom(7), log: silentLog, metrics: new TelebitMetrics(registry) },
      ...{ desk, dial, tokens: () => Promise.resolve(["one", "two"]) },
    },
    {
      ...{ relay: "relay.example.com", maxConnections: 10, retry },
      ...{ dialTimeout: millis(5_000), drainTimeout: millis(1_000) },
    },
  );
  onTestFinished(() => device.close());
  return device;
}

/** A relay's end of the device's tunnels, the newest last; it answers tokens unless it is told not to. */
class Relay {
  readonly tunnels: Tunnel[] = [];
  /** Tokens in the order they came. */
  readonly tokens: unknown[] = [];
  readonly dialledAt: Millis[] = [];
  answers = true;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  readonly dial = (): Promise<Carrier> => {
    this.dialledAt.push(this.#clock.now());
    const [near, far] = memoryCarrierPair();
    const tunnel = new MproxyTunnel(
      { clock: this.#clock, carrier: far },
      { dialect: "telebit-relay" },
    );
    this.tunnels.push(tunnel);
    tunnel.allowStreams(() => undefined);
    tunnel.control.on((message) => this.#hear(tunnel, message));
    const args = [[1], ["add_token"]];
    tunnel.control.send({ type: "command", id: 1, command: "hello", args });
    return Promise.resolve(near);
  };

  #hear(tunnel: Tunnel, message: ControlMessage): void {
    if (message.type !== "command" || message.command !== "add_token") return;
    this.tokens.push(message.args[0]);
    if (!this.answers) return;
    tunnel.control.send({ type: "answer", id: message.id, error: null, results: [] });
  }
}

const gone = { by: "us", code: "gone", text: "the relay goes away" } as const;

describe("a device of a Telebit relay that cannot be reached", () => {
  it("dials again, for ever, later each time up to the cap, and never twice at the same beat", async () => {
    const clock = new VirtualClock();
    const dials: number[] = [];
    const device = deviceOf(clock, () => {
      dials.push(clock.now());
      return Promise.reject(new TransportError("dial_failed", "nobody there"));
    });
    device.start();
    await clock.advance(600_000);
    const pauses = dials.slice(1).map((at, index) => at - (dials[index] ?? 0));
    for (const [index, pause] of pauses.entries()) {
      const step = Math.min(retry.cap, retry.first * 2 ** index);
      expect(pause).toBeGreaterThanOrEqual(step / 2);
      expect(pause).toBeLessThanOrEqual(step);
    }
    // Many devices that lost their relay at one moment do not come back at one moment.
    expect(new Set(pauses).size).toBe(pauses.length);
    expect(pauses.length).toBeGreaterThan(20);
    expect(device.status()).toMatchObject({ state: "connecting", lastError: "nobody there" });
  });
});

describe("a device of a Telebit relay", () => {
  it("sends all its tokens on every tunnel, and is back soon after one that lasted", async () => {
    const clock = new VirtualClock();
    const relay = new Relay(clock);
    const device = deviceOf(clock, relay.dial);
    device.start();
    for (let lost = 0; lost < 5; lost += 1) {
      await clock.advance(60_000);
      expect(device.status().state).toBe("attached");
      expect(relay.tokens.splice(0)).toEqual(["one", "two"]);
      relay.tunnels.at(-1)?.close(gone);
      await clock.advance(retry.first);
      expect(relay.tunnels).toHaveLength(lost + 2);
    }
  });

  it("gives a relay up that leaves a token unanswered for 10 s, and dials again", async () => {
    const clock = new VirtualClock();
    const relay = new Relay(clock);
    relay.answers = false;
    const device = deviceOf(clock, relay.dial);
    device.start();
    await clock.advance(9_999);
    expect(relay.tokens).toEqual(["one", "two"]);
    expect(device.status()).not.toHaveProperty("lastError");
    await clock.advance(1);
    expect(device.status()).toMatchObject({ state: "connecting" });
    expect(device.status().lastError).toMatch(/the answer of relay\.example\.com to our tokens/);
    expect(relay.dialledAt).toHaveLength(1);
    relay.answers = true;
    await clock.advance(retry.first);
    expect(relay.dialledAt).toHaveLength(2);
    expect(device.status().state).toBe("attached");
  });

  it("serves plain HTTP for a name, and tells the service who asks whatever the client claims", async () => {
    const site = createServer((request, response) => {
      const { "x-forwarded-for": who, "x-forwarded-proto": how } = request.headers;
      response.end(`${request.url ?? ""} of ${String(who)} by ${String(how)}`);
    });
    site.listen(0, "127.0.0.1");
    await once(site, "listening");
    onTestFinished(() => {
      site.closeAllConnections();
      site.close();
    });
    const { port } = site.address() as AddressInfo;
    const relay = new Relay(systemClock);
    const device = deviceOf(systemClock, relay.dial, { kind: "tcp", host: "127.0.0.1", port });
    device.start();
    await device.ready;
    const visitor = relay.tunnels[0]!.open({
      id: { family: "IPv4", address: "203.0.113.7", port: "50112" },
      ...{ service: "http", servicePort: "80", name },
    });
    let heard = "";
    visitor.on("data", (chunk: Buffer) => (heard += chunk.toString()));
    visitor.write(
      `GET /page HTTP/1.1\r\nHost: ${name}\r\nX-Forwarded-For: 6.6.6.6\r\nConnection: close\r\n\r\n`,
    );
    await waitUntil(() => visitor.readableEnded, { what: "the end of the answer" });
    expect(heard).toMatch(/^HTTP\/1\.1 200 /);
    expect(heard).toContain("/page of 203.0.113.7 by http");
  });
});
