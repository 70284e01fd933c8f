import {
  errorText,
  InternalError,
  millis,
  splice,
  type ByteStream,
  type Clock,
  type Millis,
  type SpliceProgress,
  type SpliceResult,
} from "@culvert/runtime";
import type { Log } from "@culvert/telemetry";
import { quoteText, Status, type PublicOffer } from "@culvert/wire";
import type { ConnectionLedger } from "../connection-ledger.ts";
import type { ServiceTarget } from "../exits/allow-list.ts";
import { ExitError } from "../exits/exit.ts";
import { answerBadGateway } from "./bad-gateway.ts";
import { CertificateSource } from "./certificate-source.ts";
import { endTls } from "./end-tls.ts";
import type { PublicConnectionEnd, PublicObserver } from "./exchange.ts";
import { exposeLabel, formatServiceTarget, type ExposeRule } from "./expose-rule.ts";
import { ExposeTable } from "./expose-table.ts";
import { HttpForwarder } from "./http-forwarder.ts";
import { HttpView } from "./http-view.ts";
import { proxyHeader } from "./proxy-header.ts";
import { sniff, type FirstBytes } from "./sniff.ts";

/** A connection from the internet that asks for entry. */
export interface PublicArrival {
  readonly offer: PublicOffer;
  /** Names it in logs, hex. */
  readonly trace: string;
  /** Whether HTTP in clear comes just as the client wrote it: a Telebit relay adds no headers that tell who asks, ours does. */
  readonly asWritten?: boolean;
  /** Says yes to the relay, and gives the stream of the connection, which the desk owns from then on. */
  accept(): ByteStream;
}

/** What the desk works with. */
export interface PublicDeskDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly ledger: ConnectionLedger;
  /**
   * Connects to a local service.
   * @throws ExitError, LimitError or TransportError `aborted`.
   */
  readonly dial: (to: ServiceTarget, signal: AbortSignal) => Promise<ByteStream>;
  readonly observer?: PublicObserver | undefined;
}

/** Serves what this end server exposes, and nothing else: ends TLS where it should, tells protocols apart, joins to local services. */
export class PublicDesk {
  readonly #deps: PublicDeskDeps;
  readonly #table: ExposeTable;
  readonly #certificates: ReadonlyMap<ExposeRule, CertificateSource>;
  readonly #forwarder: HttpForwarder;

  constructor(deps: PublicDeskDeps, rules: readonly ExposeRule[]) {
    this.#deps = deps;
    this.#table = new ExposeTable(rules);
    this.#forwarder = new HttpForwarder(deps.clock);
    const sources = rules.flatMap((rule): [ExposeRule, CertificateSource][] => {
      if (rule.certificate === undefined) return [];
      const onFault = (reason: string): void => {
        deps.log.warn("server.expose.fault", { expose: exposeLabel(rule), reason });
      };
      return [[rule, new CertificateSource(rule.certificate, onFault)]];
    });
    this.#certificates = new Map(sources);
  }

  /** What is exposed, for attaching and for status. */
  get rules(): readonly ExposeRule[] {
    return this.#table.rules;
  }

  /**
   * Serves one connection to its end.
   * @throws ExitError and its kin where the connection is refused, before it was accepted; after that nothing.
   */
  async serve(arrival: PublicArrival, signal: AbortSignal): Promise<void> {
    const { offer } = arrival;
    const rule = this.#table.find(offer);
    if (rule === undefined) {
      throw refused(`${exposeLabel(whatOf(offer))} is not exposed here`);
    }
    const way = wayOf(rule, offer);
    // Bytes that nobody here looks at are accepted when the service has accepted, so that the relay hears why not.
    const target = way === "raw" ? await this.#dialFirst(rule, offer, signal) : undefined;
    const who = {
      trace: arrival.trace,
      client: "public",
      clientId: offer.remote.address,
      clientPort: offer.remote.port,
      target: `${exposeLabel(whatOf(offer))} -> ${formatServiceTarget(rule.to)}`,
    };
    const asWritten = arrival.asWritten === true && offer.service === "http";
    const visit: Visit = { rule, offer, asWritten, signal, startedAt: this.#deps.clock.now() };
    await this.#deps.ledger.carry(who, async (progress) => {
      const stream = arrival.accept();
      stream.on("error", () => undefined);
      if (target !== undefined)
        return this.#join(visit, stream, target, protocolOf(offer), progress);
      try {
        return await this.#enter(visit, stream, way === "tls", progress);
      } catch (error) {
        return this.#fail(visit, stream, error, progress);
      }
    });
  }

  async #dialFirst(rule: ExposeRule, offer: PublicOffer, signal: AbortSignal): Promise<ByteStream> {
    try {
      return await this.#dial(rule, rule.to, offer, signal);
    } catch (error) {
      this.#deps.observer?.unreachable(offer, errorText(error));
      throw error;
    }
  }

  async #enter(
    visit: Visit,
    stream: ByteStream,
    hasTls: boolean,
    progress: SpliceProgress,
  ): Promise<SpliceResult> {
    const { rule, offer, signal } = visit;
    const { clock, observer } = this.#deps;
    const plain = hasTls ? await this.#endTls(rule, stream, signal) : stream;
    // Who speaks first is not known at a port; at a name it is the client.
    const patience = offer.service === "tcp" ? serverSpeaksFirst : clientSpeaks;
    const first = await sniff(plain, { clock, patience, signal });
    if ((first === undefined || plain.readableEnded) && offer.service !== "tcp") {
      // As browsers do that connect ahead of need: nobody's fault.
      plain.destroy();
      return { ...progress, failure: undefined };
    }
    if (first === "ssh" && rule.ssh !== undefined) {
      return this.#join(
        visit,
        plain,
        await this.#dial(rule, rule.ssh, offer, signal),
        "ssh",
        progress,
      );
    }
    if (first === "ssh" && offer.service !== "tcp") {
      // A web server would take it for a request, and what follows for another that nobody has looked at.
      throw refused(`ssh for ${quoteText(offer.name)}, whose rule says not where it goes`);
    }
    if ((hasTls || visit.asWritten) && isForForwarder(visit, first)) {
      return this.#forward(visit, plain, hasTls ? "https" : "http", progress);
    }
    let target: ByteStream;
    try {
      target = await this.#dial(rule, rule.to, offer, signal);
    } catch (error) {
      if (first !== "http") throw error;
      observer?.unreachable(offer, errorText(error));
      this.#warn(visit, error);
      return await answered(clock, plain, { offer, rule }, progress);
    }
    return this.#join(visit, plain, target, shownAs(first), progress);
  }

  async #endTls(rule: ExposeRule, stream: ByteStream, signal: AbortSignal): Promise<ByteStream> {
    const source = this.#certificates.get(rule);
    if (source === undefined)
      throw new InternalError("invariant", "no certificate to end TLS with");
    const secureContext = await source.context();
    const { clock } = this.#deps;
    return endTls(stream, { clock, secureContext, limit: handshakeLimit, signal });
  }

  /** Every request by itself, with the headers that tell where it came from. */
  async #forward(
    visit: Visit,
    plain: ByteStream,
    scheme: "http" | "https",
    progress: SpliceProgress,
  ): Promise<SpliceResult> {
    const { rule, offer, signal } = visit;
    const { observer } = this.#deps;
    await this.#forwarder.serve(plain, {
      clientAddress: offer.remote.address,
      name: offer.name,
      scheme,
      tellsOrigin: rule.forwardedFor,
      where: formatServiceTarget(rule.to),
      dial: () => this.#dial(rule, rule.to, offer, signal),
      exchange: (exchange) => {
        progress.leftToRightBytes += exchange.requestBytes;
        progress.rightToLeftBytes += exchange.responseBytes;
        observer?.exchange(offer, exchange);
      },
      unreachable: (text) => {
        observer?.unreachable(offer, text);
        this.#warn(visit, text);
      },
    });
    this.#tell(visit, "http", { ...progress, failure: undefined });
    return { ...progress, failure: undefined };
  }

  async #join(
    visit: Visit,
    left: ByteStream,
    right: ByteStream,
    protocol: PublicConnectionEnd["protocol"],
    progress: SpliceProgress,
  ): Promise<SpliceResult> {
    const { observer, clock } = this.#deps;
    const view =
      observer !== undefined && protocol === "http"
        ? new HttpView(clock, (exchange) => observer.exchange(visit.offer, exchange))
        : undefined;
    // Both sides start to flow in a later turn, when the splice listens as well.
    if (view !== undefined) {
      left.on("data", (chunk: Uint8Array) => view.request(chunk));
      right.on("data", (chunk: Uint8Array) => view.answer(chunk));
    }
    const result = await splice(left, right, progress);
    view?.end();
    this.#tell(visit, protocol, result);
    return result;
  }

  async #dial(
    rule: ExposeRule,
    to: ServiceTarget,
    offer: PublicOffer,
    signal: AbortSignal,
  ): Promise<ByteStream> {
    const target = await this.#deps.dial(to, signal);
    target.on("error", () => undefined);
    // A client that left meanwhile would never end it.
    if (signal.aborted) target.destroy();
    if (rule.proxyProtocol === "v2") target.write(proxyHeader(offer));
    return target;
  }

  #fail(visit: Visit, stream: ByteStream, error: unknown, progress: SpliceProgress): SpliceResult {
    const failure = error instanceof Error ? error : new Error(String(error));
    stream.destroy(failure);
    this.#warn(visit, error);
    const result: SpliceResult = { ...progress, failure: { side: "right", error: failure } };
    this.#tell(visit, "other", result);
    return result;
  }

  #warn({ offer, rule, signal }: Visit, error: unknown): void {
    if (signal.aborted) return;
    this.#deps.log.warn("server.expose.fault", {
      expose: exposeLabel(rule),
      remote: offer.remote.address,
      reason: errorText(error),
    });
  }

  #tell(visit: Visit, protocol: PublicConnectionEnd["protocol"], result: SpliceResult): void {
    const { clock, observer } = this.#deps;
    observer?.ended(visit.offer, {
      protocol,
      bytesUp: result.leftToRightBytes,
      bytesDown: result.rightToLeftBytes,
      durationMs: millis(clock.now() - visit.startedAt),
      failure: result.failure?.error.message,
    });
  }
}

interface Visit {
  readonly rule: ExposeRule;
  readonly offer: PublicOffer;
  readonly asWritten: boolean;
  readonly signal: AbortSignal;
  readonly startedAt: Millis;
}

/** What is done with a connection: joined as it is, looked into, or its TLS ended first. */
function wayOf(rule: ExposeRule, { service, name }: PublicOffer): "raw" | "plain" | "tls" {
  switch (service) {
    case "https":
      if (rule.tls === "pass") return "raw";
      if (rule.tls === "local") return "tls";
      throw refused(
        `TLS of ${quoteText(name)} is to be ended at the relay, which passes it on; set tls: end there, or tls: local or pass here`,
      );
    case "http":
      if (rule.tls === "pass") throw refused(`${quoteText(name)} takes TLS only`);
      return "plain";
    case "tcp":
      if (rule.tls === "local") return "tls";
      return rule.ssh === undefined ? "raw" : "plain";
  }
}

/**
 * Whether what is in clear here is read request by request. At a name all of it is, whatever it looks like: every Host is judged,
 * and how lenient the service is does not matter. At a port there is no name to hold it to, and other protocols are at home there.
 */
function isForForwarder({ rule, offer }: Visit, first: FirstBytes | undefined): boolean {
  return offer.service !== "tcp" || (first === "http" && rule.forwardedFor);
}

function whatOf({ service, name, servicePort }: PublicOffer): { name: string; port: number } {
  return service === "tcp" ? { name: "", port: servicePort } : { name, port: 0 };
}

function protocolOf({ service }: PublicOffer): PublicConnectionEnd["protocol"] {
  return service === "https" ? "tls" : "other";
}

function shownAs(first: FirstBytes | undefined): PublicConnectionEnd["protocol"] {
  return first ?? "other";
}

/** The page that says what is missing; resolves when it has been read, or the client had time to. */
function answered(
  clock: Clock,
  plain: ByteStream,
  { offer, rule }: Pick<Visit, "offer" | "rule">,
  progress: SpliceProgress,
): Promise<SpliceResult> {
  return new Promise((resolve) => {
    const timer = clock.setTimer(pageLimit, () => plain.destroy());
    plain.once("close", () => {
      timer.cancel();
      resolve({ ...progress, failure: undefined });
    });
    answerBadGateway(plain, exposeLabel(whatOf(offer)), formatServiceTarget(rule.to));
  });
}

function refused(text: string): ExitError {
  return new ExitError(Status.permission_denied_by_server, text);
}

const handshakeLimit = millis(10_000);
/** How long a client may take to read a page of ours and to end its side. */
const pageLimit = millis(5_000);
/** How long a client at a port may be silent before it is taken for one that waits for the server's first word. */
const serverSpeaksFirst = millis(350);
/** How long a client at a name may be silent, as browsers are that connect ahead of need. */
const clientSpeaks = millis(60_000);
