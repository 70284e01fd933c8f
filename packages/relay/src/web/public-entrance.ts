import type { Socket } from "node:net";
import { millis, Scope, systemRandom, type Clock, type Random } from "@culvert/runtime";
import { rateLimited, type Log } from "@culvert/telemetry";
import { formatHostPort, type HostPort } from "@culvert/transport";
import { AcmeCertificates } from "./acme/acme-certificates.ts";
import { acmeOrders } from "./acme/acme-order.ts";
import { AcmeState } from "./acme/acme-state.ts";
import { Admission } from "./admission.ts";
import { CertificateFilesWatch } from "./certificate-files.ts";
import { CertificateStore, readCertificate, type CertificatePem } from "./certificate-store.ts";
import { DeviceStreams } from "./device-streams.ts";
import { HttpFront } from "./http-front.ts";
import type { PublicMetrics } from "./metrics.ts";
import { NameTable } from "./name-table.ts";
import { PortTable, type OpenPort } from "./port-table.ts";
import type { PublicDevice } from "./public-device.ts";
import { PublicDoor } from "./public-door.ts";
import { publicStatus, type PublicStatus } from "./public-status.ts";
import { PublicRouter, type ListenerKind } from "./public-router.ts";
import { SiteServer } from "./site-server.ts";
import type { PageHandler, UpgradeHandler } from "./upgrade-handler.ts";
import { listenWeb, type WebListener } from "./web-listener.ts";
import type { WebOptions } from "./web-options.ts";

/** What the entrance needs from outside. */
export interface PublicEntranceDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: PublicMetrics;
  /** Shown where no certificate fits: one that the relay's identity vouches for. */
  readonly fallback: CertificatePem;
  /** Spreads attempts at ACME; default: the system's. */
  readonly random?: Random | undefined;
}

/**
 * Where the internet comes in: TLS and HTTP listeners that lead to devices by name, ports that lead to them by number, and the
 * relay's own names, on which sessions by WebSocket live. The tables may be filled before and after the start.
 */
export class PublicEntrance {
  readonly names: NameTable;
  readonly ports: PortTable;
  readonly #deps: PublicEntranceDeps;
  readonly #options: WebOptions;
  readonly #pages: PageHandler[] = [];
  readonly #upgrades = { https: [] as UpgradeHandler[], plain: [] as UpgradeHandler[] };
  readonly #admission: Admission;
  readonly #door: PublicDoor;
  readonly #front: HttpFront;
  readonly #router: PublicRouter;
  readonly #store: CertificateStore;
  /** Answers to ACME challenges that stand open, by token. */
  readonly #challenges = new Map<string, string>();
  readonly #listeners = new Map<WebListener, ListenerKind | "port">();
  readonly #scope = new Scope();
  #draining = false;

  /** @throws ConfigError `bad_name` for an own name that is none; `bad_key` for a fallback that cannot be used. */
  constructor(deps: PublicEntranceDeps, options: WebOptions) {
    this.#deps = deps;
    this.#options = options;
    const { clock, log, metrics } = deps;
    const { limits } = options;
    const strangersLog = rateLimited(log, clock, refusalRate);
    this.names = new NameTable(options.names, limits);
    this.ports = new PortTable(
      (address, device) => this.#openPort(address, device),
      limits.portsPerDevice,
    );
    this.#store = new CertificateStore(readCertificate(deps.fallback));
    this.#admission = new Admission(limits);
    this.#door = new PublicDoor({
      clock,
      log,
      strangersLog,
      metrics,
      admission: this.#admission,
    });
    const streams = new DeviceStreams({ clock, metrics }, limits.openTimeout);
    const { names } = this;
    const site = new SiteServer({
      clock,
      names,
      streams,
      metrics,
      log: strangersLog,
      pages: this.#pages,
      upgrades: this.#upgrades,
      challenge: (token) => this.#challenges.get(token),
      httpsPort: () => this.address("https")?.port,
      door: this.#door,
      requestsPerConnection: limits.requestsPerConnection,
      answerTimeout: limits.idleTimeout,
    });
    this.#front = new HttpFront(site, clock, limits);
    this.#router = new PublicRouter({
      clock,
      door: this.#door,
      names,
      own: options.names,
      streams,
      front: this.#front,
      store: this.#store,
      limits,
    });
  }

  /** Adds who takes WebSockets of the relay's own names, where TLS is ended here (`https`) or at plain listeners. */
  addUpgrades(handler: UpgradeHandler, where: "https" | "plain"): void {
    this.#upgrades[where].push(handler);
  }

  /** Adds who answers requests for the relay's own names. */
  addPages(handler: PageHandler): void {
    this.#pages.push(handler);
  }

  /** What the first listener of a kind is bound to; undefined where there is none, and before the start. */
  address(kind: ListenerKind): HostPort | undefined {
    for (const [{ address }, of] of this.#listeners) if (of === kind) return address;
    return undefined;
  }

  /** What it listens on: `https 0.0.0.0:443`. */
  get addresses(): readonly string[] {
    return [...this.#listeners].map(([{ address }, kind]) => `${kind} ${formatHostPort(address)}`);
  }

  /** A picture of it for `culvert status`. */
  status(): PublicStatus {
    return publicStatus({
      listen: this.addresses,
      names: this.names,
      ports: this.ports,
      visits: this.#door.visits(),
      connectionCount: this.#admission.connections,
    });
  }

  /**
   * Reads the certificates, binds the listeners and begins to serve.
   * @throws ConfigError `unreadable_file`, `bad_key`; TransportError `address_in_use` and its kin; nothing stays bound then.
   */
  async start(): Promise<void> {
    const { clock, log, metrics } = this.#deps;
    const { certificates, https, http, plain } = this.#options;
    try {
      const store = this.#store;
      const files = new CertificateFilesWatch({ clock, log, metrics, store }, certificates);
      this.#scope.add(() => files.close());
      await files.start();
      for (const [kind, addresses] of Object.entries({ https, http, plain })) {
        for (const address of addresses) await this.#listen(kind as ListenerKind, address);
      }
      this.#startAcme();
    } catch (error) {
      await this.close();
      throw error;
    }
    metrics.attach({
      connections: () => this.#admission.connections,
      handshakes: () => this.#admission.handshakes,
      names: () => this.names.size,
      bytes: () => this.#door.bytes,
      certificateSeconds: () => {
        const end = this.#store.firstEndMs;
        return end === undefined ? undefined : Math.max(0, (end - clock.wallNowMs()) / 1_000);
      },
    });
  }

  /** Takes no new connections, and resolves when those of visitors have ended; idle ones are ended now. */
  async drain(): Promise<void> {
    this.#stopListening();
    this.#front.endIdle();
    await this.#door.idle();
  }

  /** Closes all listeners and connections. */
  async close(): Promise<void> {
    this.#door.close();
    this.#stopListening();
    this.#front.close();
    await this.#scope.close();
  }

  /** Certificates come when they come: nobody waits for them. */
  #startAcme(): void {
    const { acme, names: own } = this.#options;
    if (acme === undefined) return;
    const { clock, random = systemRandom, log, metrics } = this.#deps;
    const store = this.#store;
    const challenges = this.#challenges;
    const state = new AcmeState(acme.stateDir, acme.directory);
    const order = acmeOrders({ clock, state, challenges }, acme);
    const wanted = (): readonly string[] => {
      const ended = [...this.names.list()].filter(({ policy }) => policy.tls === "end");
      // http-01 proves no wildcards.
      const exact = ended.map(({ pattern }) => pattern).filter((name) => !name.startsWith("*."));
      const byFile = (key: string): boolean => key.startsWith("file ");
      return [...new Set([...own, ...exact])].filter((name) => !store.has(name, byFile));
    };
    const deps = { clock, random, log, metrics, store, state, order, wanted };
    const certificates = new AcmeCertificates(deps);
    this.#scope.add(() => certificates.close());
    this.names.onChange(() => certificates.look());
    certificates.look();
  }

  async #listen(kind: ListenerKind, wanted: HostPort): Promise<void> {
    const listener = await listenWeb(wanted, (socket) => {
      const guest = this.#admit(socket);
      if (guest !== undefined) void this.#router.serve(guest, kind);
    });
    this.#listeners.set(listener, kind);
    const address = formatHostPort(listener.address);
    this.#deps.log.info("relay.public.listening", { kind, address });
  }

  async #openPort(wanted: HostPort, device: PublicDevice): Promise<OpenPort> {
    const listener = await listenWeb(wanted, (socket) => {
      const guest = this.#admit(socket);
      if (guest !== undefined) this.#router.servePort(guest, device);
    });
    this.#listeners.set(listener, "port");
    const address = formatHostPort(listener.address);
    this.#deps.log.info("relay.public.listening", { kind: "port", address, server: device.name });
    return {
      port: listener.address.port,
      close: () => {
        this.#listeners.delete(listener);
        listener.stop();
        return Promise.resolve();
      },
    };
  }

  #admit(socket: Socket): ReturnType<PublicDoor["admit"]> {
    if (!this.#draining) return this.#door.admit(socket);
    socket.destroy();
    return undefined;
  }

  #stopListening(): void {
    this.#draining = true;
    for (const listener of this.#listeners.keys()) listener.stop();
  }
}

/** Warnings of one event. */
const refusalRate = { burst: 20, interval: millis(10_000) };
