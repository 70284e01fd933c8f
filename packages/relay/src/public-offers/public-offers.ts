import { errorText, LimitError, type Scope } from "@culvert/runtime";
import type { Log } from "@culvert/telemetry";
import { Status, type Expose, type ExposeAnswer, type StatusCode } from "@culvert/wire";
import type { AttachedPeer } from "../directory.ts";
import type { NameTable } from "../web/name-table.ts";
import type { PortTable } from "../web/port-table.ts";
import type { PublicDevice } from "../web/public-device.ts";
import { AwayDevice } from "./away-device.ts";
import { PortDevice } from "./port-device.ts";
import { PublicGrants } from "./public-grants.ts";
import { ServerDevice, type ServerDeviceDeps } from "./server-device.ts";

/** The public entrance, as far as servers are concerned. */
export interface PublicTables {
  readonly names: NameTable;
  readonly ports: PortTable;
  /** Port that is told for public names with TLS; 0 = no such listener. */
  readonly httpsPort: number;
  /** The same for plain HTTP. */
  readonly httpPort: number;
}

/** What the offers work with. */
export interface PublicOffersDeps extends ServerDeviceDeps {
  readonly log: Log;
  readonly grants: PublicGrants;
}

/**
 * Gives attached servers what the configuration grants them of the public entrance, for as long as their sessions live. Names that
 * are granted and not served are known as well, so that a visitor hears that the server is away and not that there is no such name.
 */
export class PublicOffers {
  readonly #deps: PublicOffersDeps;
  readonly #ports = new Map<string, PortDevice>();
  readonly #leases = new Map<AttachedPeer, (() => void)[]>();
  #tables: PublicTables | undefined;

  constructor(deps: PublicOffersDeps) {
    this.#deps = deps;
  }

  /**
   * Takes its place in the tables and binds the granted ports, which `scope` releases.
   * @throws TransportError `address_in_use` and its kin; LimitError where the tables are too small for the grants.
   */
  async start(tables: PublicTables, scope: Scope): Promise<void> {
    const { names, ports } = this.#deps.grants.list;
    for (const grant of names) {
      const away = new AwayDevice(grant.server);
      for (const name of grant.names) scope.add(tables.names.add(name, away, grant));
    }
    for (const { server, listen } of ports) {
      const device = new PortDevice(server);
      const open = await tables.ports.open(listen, device);
      scope.add(() => open.close());
      this.#ports.set(portKey(server, listen.port), device);
    }
    this.#tables = tables;
  }

  /** Judges what a server asks for and serves what is granted, until {@link detach}. Answers each in its order. */
  attach(server: AttachedPeer): readonly ExposeAnswer[] {
    if (server.exposes.length === 0) return [];
    const device = new ServerDevice(this.#deps, server);
    const leases: (() => void)[] = [];
    this.#leases.set(server, leases);
    let textBudget = mostText;
    return server.exposes.map((expose) => {
      const answer = this.#judge(server, expose, device, leases);
      textBudget -= answer.text.length;
      // The status says enough where all the words would not fit in a tip.
      return textBudget >= 0 ? answer : { ...answer, text: "" };
    });
  }

  /** Takes everything back from a session. */
  detach(server: AttachedPeer): void {
    for (const release of this.#leases.get(server) ?? []) release();
    this.#leases.delete(server);
  }

  #judge(
    server: AttachedPeer,
    expose: Expose,
    device: PublicDevice,
    leases: (() => void)[],
  ): ExposeAnswer {
    const { log, grants } = this.#deps;
    const peer = server.peer.name;
    const label = expose.name === "" ? `port ${expose.port}` : expose.name;
    const refuse = (status: StatusCode, text: string): ExposeAnswer => {
      log.warn("relay.expose.refused", { peer, expose: label, reason: text });
      return { ...expose, ...noEntrance, status, text };
    };
    const tables = this.#tables;
    const policy = expose.name === "" ? undefined : grants.name(peer, expose.name);
    const granted = expose.name === "" ? grants.port(peer, expose.port) : policy !== undefined;
    if (tables === undefined || !granted) {
      const line = PublicGrants.lineFor(peer, expose);
      const text = `${label} is not granted to ${peer}; the relay's configuration needs ${line}`;
      return refuse(Status.permission_denied_by_relay, text);
    }
    try {
      const lease =
        policy === undefined
          ? this.#ports.get(portKey(peer, expose.port))?.add(device)
          : tables.names.add(expose.name, device, policy);
      if (lease !== undefined) leases.push(lease);
    } catch (error) {
      const isFull = error instanceof LimitError;
      return refuse(isFull ? Status.resource_limit : Status.internal, errorText(error));
    }
    log.info("relay.expose.granted", { peer, expose: label });
    const { httpsPort, httpPort } = tables;
    const entrance = policy === undefined ? noEntrance : { httpsPort, httpPort };
    return { ...expose, ...entrance, tlsEnded: policy?.tls === "end", status: Status.ok, text: "" };
  }
}

function portKey(server: string, port: number): string {
  return `${port} ${server}`;
}

const noEntrance = { httpsPort: 0, httpPort: 0, tlsEnded: false };
/** Characters of refusals in one answer, well within a tip. */
const mostText = 6_000;
