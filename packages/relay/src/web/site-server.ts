import type { IncomingMessage } from "node:http";
import { LimitError, TransportError, type Clock, type Millis } from "@culvert/runtime";
import type { Log } from "@culvert/telemetry";
import { hostOfAuthority } from "@culvert/wire";
import { addressKey } from "./admission.ts";
import { DeviceAgent } from "./device-agent.ts";
import { deviceFailure, type DeviceStreams } from "./device-streams.ts";
import { errorPage, type ErrorStatus } from "./error-page.ts";
import type { Exchange } from "./exchange.ts";
import { forwardRequest, type ForwardOutcome } from "./forward-request.ts";
import { forwardUpgrade, type Upgrade } from "./forward-upgrade.ts";
import type { HttpHandler } from "./http-front.ts";
import type { PublicMetrics, PublicRefusal } from "./metrics.ts";
import type { NameRoute, NameTable } from "./name-table.ts";
import type { PublicClient } from "./public-client.ts";
import type { PublicDoor } from "./public-door.ts";
import { StreamGate } from "./stream-gate.ts";
import type { Page, PageHandler, UpgradeHandler } from "./upgrade-handler.ts";

/** What a site server works with. */
export interface SiteServerDeps {
  readonly clock: Clock;
  readonly names: NameTable;
  readonly streams: DeviceStreams;
  readonly metrics: PublicMetrics;
  /** Limited in rate: it tells what strangers provoke. */
  readonly log: Log;
  /** Pages of the relay's own names. */
  readonly pages: readonly PageHandler[];
  /** WebSockets of the relay's own names. */
  readonly upgrades: Readonly<Record<"https" | "plain", readonly UpgradeHandler[]>>;
  /** The answer to an ACME challenge, for any name; undefined where there is none. */
  readonly challenge: (token: string) => string | undefined;
  /** The port of the public TLS listener, for redirects; undefined where there is none. */
  readonly httpsPort: () => number | undefined;
  readonly door: Pick<PublicDoor, "reached" | "handedOver">;
  readonly requestsPerConnection: number;
  /** How long a device may take to open or refuse a WebSocket. */
  readonly answerTimeout: Millis;
}

/** Decides whom every single HTTP request is for, and answers it or forwards it. */
export class SiteServer implements HttpHandler {
  readonly #deps: SiteServerDeps;
  readonly #agents = new WeakMap<PublicClient, Map<string, AgentOfName>>();
  readonly #gates = new WeakMap<NameRoute, StreamGate>();

  constructor(deps: SiteServerDeps) {
    this.#deps = deps;
  }

  request(exchange: Exchange): void {
    this.#enter(exchange);
    const judged = this.#judge(exchange);
    switch (judged.kind) {
      case "refused":
        this.#refuse(exchange, judged.status, judged.reason);
        return;
      case "page":
        this.#say(exchange, judged.page);
        return;
      case "redirect":
        this.#redirect(exchange, judged.location);
        return;
      case "own":
        this.#own(exchange, judged.named);
        return;
      case "site":
        void this.#forward(exchange, judged.route, judged.name);
    }
  }

  upgrade(upgrade: Upgrade): void {
    const { exchange, request, response, socket, head } = upgrade;
    this.#enter(exchange);
    const judged = this.#judge(exchange);
    if (judged.kind === "site") {
      void this.#forwardUpgrade(upgrade, judged.route, judged.name);
      return;
    }
    const handler = judged.kind === "own" ? this.#takerOf(exchange.client, request) : undefined;
    if (handler === undefined) {
      if (judged.kind === "refused") this.#refuse(exchange, judged.status, judged.reason);
      else if (judged.kind === "redirect") this.#redirect(exchange, judged.location);
      else this.#refuse(exchange, 404, "unknown_name");
      return;
    }
    upgrade.opened();
    this.#deps.metrics.requests.inc({ status: "1xx" });
    response.detachSocket(request.socket);
    this.#deps.door.handedOver(exchange.client);
    handler.upgrade(request, socket, head);
  }

  refused(status: ErrorStatus): void {
    const reasons = { 431: "head_too_large", 408: "slow_head" } as const;
    const reason = status === 431 || status === 408 ? reasons[status] : "bad_request";
    this.#deps.metrics.refused.inc({ reason });
    this.#count(status);
  }

  /** Every request is judged by itself: one connection may bring requests for several names. */
  #judge(exchange: Exchange): Judgement {
    const { client, authority, fault, target } = exchange;
    if (fault !== undefined) return refused(400, "bad_request");
    const host = authority === undefined ? undefined : hostOfAuthority(authority);
    if (authority !== undefined && host === undefined) return refused(400, "bad_request");
    const { names, challenge, requestsPerConnection } = this.#deps;
    if (client.ownOnly) return { kind: "own", named: true };
    if (client.openRequests > requestsPerConnection) return refused(503, "connections");
    const token = challengeToken(target);
    const answer = token === undefined ? undefined : challenge(token);
    if (answer !== undefined) {
      return { kind: "page", page: { status: 200, contentType: "text/plain", body: answer } };
    }
    const name = host?.kind === "name" ? host.name : undefined;
    if (client.tls !== "none" && !this.#agree(name, client.serverName)) {
      return refused(421, "misdirected");
    }
    if (name === undefined) return { kind: "own", named: true };
    if (names.isOwn(name)) {
      const named = names.isNamed(name);
      if (client.tls !== "none") return { kind: "own", named };
      if (!named) return refused(404, "unknown_name");
      const location = this.#httpsUrl(name, target);
      return location === undefined ? { kind: "own", named } : { kind: "redirect", location };
    }
    if (client.isSpread(name)) return refused(421, "misdirected");
    const route = client.route(names, name);
    if (route === undefined) return refused(404, "unknown_name");
    if (client.tls === "none" && route.policy.http === "redirect") {
      // Where the device ends TLS itself, it proves its name by itself too.
      const itsChallenge = token !== undefined && route.policy.tls === "pass";
      const location = itsChallenge ? undefined : this.#httpsUrl(name, target);
      if (location !== undefined) return { kind: "redirect", location };
    }
    if (!route.device.connected) return refused(502, "device_away");
    return { kind: "site", route, name };
  }

  /**
   * Whether SNI and Host go together: they are the same, or both mean the relay itself, as an address in Host and a connection that
   * named nobody do. Names that are the relay's only because nobody serves them are not one another's.
   */
  #agree(name: string | undefined, serverName: string | undefined): boolean {
    if (name === serverName) return true;
    const { names } = this.#deps;
    const bothNames = name !== undefined && serverName !== undefined;
    return [name, serverName].every(
      (one) => one === undefined || (bothNames ? names.isNamed(one) : names.isOwn(one)),
    );
  }

  /** Tokens and sessions are not for the open internet to read: in clear they come from a proxy alone. */
  #takerOf(client: PublicClient, request: IncomingMessage): UpgradeHandler | undefined {
    const { https, plain } = this.#deps.upgrades;
    const handlers = client.ownOnly ? plain : client.tls === "ended" ? https : [];
    return handlers.find((handler) => handler.accepts(request));
  }

  async #forward(exchange: Exchange, route: NameRoute, name: string): Promise<void> {
    this.#deps.door.reached(exchange.client, name, route.device, route.pattern);
    const agent = this.#agent(exchange.client, route, name);
    this.#conclude(exchange, await forwardRequest(exchange, agent, this.#deps.clock));
  }

  async #forwardUpgrade(upgrade: Upgrade, route: NameRoute, name: string): Promise<void> {
    const { exchange } = upgrade;
    this.#deps.door.reached(exchange.client, name, route.device, route.pattern);
    const { client } = exchange;
    const { clock, answerTimeout, streams } = this.#deps;
    const agent = this.#agent(client, route, name);
    const connection = client.connection("http", name);
    const outcome = await forwardUpgrade(upgrade, {
      clock,
      limit: answerTimeout,
      turn: (signal) => agent.turn(signal),
      open: () => streams.open(route.device, connection, client.signal),
    });
    this.#conclude(exchange, outcome);
  }

  #conclude(exchange: Exchange, { status, error }: ForwardOutcome): void {
    if (error !== undefined && status === undefined && !exchange.responded) {
      if (exchange.client.signal.aborted || isAborted(error)) return;
      const failure = deviceFailure(error);
      const cause = isCrowd(error) ? "crowded" : "device_failed";
      this.#deps.log.warn("relay.public.refused", {
        remote: exchange.client.remote.address,
        name: exchange.authority,
        cause,
        reason: failure.reason,
      });
      this.#refuse(exchange, failure.status, cause);
      return;
    }
    this.#count(status ?? 502);
    if (error !== undefined) exchange.abort();
  }

  #agent(client: PublicClient, route: NameRoute, name: string): DeviceAgent {
    let ofClient = this.#agents.get(client);
    if (ofClient === undefined) {
      const agents = new Map<string, AgentOfName>();
      ofClient = agents;
      this.#agents.set(client, agents);
      const destroy = (): void => agents.forEach(({ agent }) => agent.destroy());
      client.signal.addEventListener("abort", destroy, { once: true });
    }
    const before = ofClient.get(name);
    if (before?.route === route) return before.agent;
    before?.agent.destroy();
    const connection = client.connection("http", name);
    const agent = new DeviceAgent(
      () => this.#deps.streams.open(route.device, connection, client.signal),
      this.#gate(route),
      addressKey(client.remote.address),
    );
    ofClient.set(name, { route, agent });
    return agent;
  }

  #gate(route: NameRoute): StreamGate {
    const gate = this.#gates.get(route) ?? new StreamGate(this.#deps.clock);
    this.#gates.set(route, gate);
    return gate;
  }

  /** `named`: whether the name, if there is one, was told to the relay as its own. */
  #own(exchange: Exchange, named: boolean): void {
    const { method, target, authority, client } = exchange;
    const request = {
      method,
      url: target,
      headers: { host: authority },
      socket: { localPort: client.local.port },
    };
    for (const page of this.#deps.pages) {
      const found = page(request);
      if (found === undefined) continue;
      this.#say(exchange, found);
      return;
    }
    if (!named) this.#refuse(exchange, 404, "unknown_name");
    else if (!["GET", "HEAD"].includes(method)) this.#say(exchange, errorPage(405));
    else if (target === "/") this.#say(exchange, plain("This is a Culvert relay.\n"));
    else this.#say(exchange, { ...plain("Not found.\n"), status: 404 });
  }

  /** Undefined where there is no TLS to go to. */
  #httpsUrl(name: string, target: string): string | undefined {
    const port = this.#deps.httpsPort();
    if (port === undefined || !target.startsWith("/")) return undefined;
    return `https://${name}${port === 443 ? "" : `:${port}`}${target}`;
  }

  #redirect(exchange: Exchange, location: string): void {
    exchange.respond(308, { location, "content-length": "0" }, true);
    this.#count(308);
  }

  #say(exchange: Exchange, page: Page): void {
    const fields = {
      "content-type": page.contentType,
      "content-length": String(Buffer.byteLength(page.body)),
      "x-content-type-options": "nosniff",
    };
    const sink = exchange.respond(page.status, fields, exchange.method === "HEAD");
    if (exchange.method !== "HEAD") sink.end(page.body);
    exchange.body?.stream.resume();
    this.#count(page.status);
  }

  #refuse(exchange: Exchange, status: ErrorStatus, reason: PublicRefusal): void {
    this.#deps.metrics.refused.inc({ reason });
    this.#say(exchange, errorPage(status));
  }

  #enter(exchange: Exchange): void {
    const { client } = exchange;
    client.requests += 1;
    client.openRequests += 1;
    exchange.onClose(() => {
      client.openRequests -= 1;
    });
  }

  #count(status: number): void {
    this.#deps.metrics.requests.inc({ status: `${Math.floor(status / 100)}xx` });
  }
}

interface AgentOfName {
  readonly route: NameRoute;
  readonly agent: DeviceAgent;
}

type Judgement =
  | { readonly kind: "refused"; readonly status: ErrorStatus; readonly reason: PublicRefusal }
  | { readonly kind: "page"; readonly page: Page }
  | { readonly kind: "redirect"; readonly location: string }
  | { readonly kind: "own"; readonly named: boolean }
  | { readonly kind: "site"; readonly route: NameRoute; readonly name: string };

function refused(status: ErrorStatus, reason: PublicRefusal): Judgement {
  return { kind: "refused", status, reason };
}

function plain(body: string): Page {
  return { status: 200, contentType: "text/plain; charset=utf-8", body };
}

function challengeToken(target: string): string | undefined {
  return /^\/\.well-known\/acme-challenge\/([A-Za-z0-9_-]{1,128})$/.exec(target)?.[1];
}

function isAborted(error: Error): boolean {
  return error instanceof TransportError && error.code === "aborted";
}

/** Whether too many wait at the {@link StreamGate}. */
function isCrowd(error: Error): boolean {
  return error instanceof LimitError && String(error.data["limit"]).startsWith("mostWaiting");
}
