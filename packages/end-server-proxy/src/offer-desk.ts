import {
  errorText,
  LimitError,
  splice,
  TransportError,
  WireError,
  type ByteStream,
  type Clock,
} from "@culvert/runtime";
import type { Log } from "@culvert/telemetry";
import { answerAndEnd, readTip, writeTip } from "@culvert/transport";
import {
  decodeForward,
  encodeForwardAnswer,
  Status,
  statusName,
  statusOfError,
  type Answer,
  type Offer,
  type PublicOffer,
  type StatusCode,
} from "@culvert/wire";
import type { ConnectionLedger } from "./connection-ledger.ts";
import { ExitError, type Exit } from "./exits/exit.ts";
import type { EndServerMetrics } from "./metrics.ts";
import type { EndServerOptions } from "./options.ts";
import type { PublicDesk } from "./public/public-desk.ts";

/** What the desk works with. */
export interface OfferDeskDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: EndServerMetrics;
  readonly exit: Exit;
  readonly ledger: ConnectionLedger;
  /** Serves connections from the relay's public entrance; undefined where nothing is exposed. */
  readonly publicDesk?: PublicDesk | undefined;
}

/** Answers the relay's offers: the tip, our own permission, the target, the splice. */
export class OfferDesk {
  readonly #deps: OfferDeskDeps;
  readonly #options: EndServerOptions;
  #open = 0;
  #draining = false;
  #emptied: (() => void) | undefined;

  constructor(deps: OfferDeskDeps, options: EndServerOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Accepts no offers any more; resolves when the last open connection has ended. */
  drained(): Promise<void> {
    this.#draining = true;
    if (this.#open === 0) return Promise.resolve();
    return new Promise((resolve) => (this.#emptied = resolve));
  }

  /** Serves one stream of the relay to its end. Owns the stream; never rejects. */
  async serve(stream: ByteStream): Promise<void> {
    stream.on("error", ignore);
    const gone = new AbortController();
    const onClose = (): void => gone.abort();
    stream.on("close", onClose);
    this.#open += 1;
    let offer: Offer | undefined;
    try {
      offer = await this.#readOffer(stream, gone.signal);
      this.#assertRoom();
      if (offer.public !== undefined) {
        await this.#servePublic(stream, offer, offer.public, gone.signal);
        return;
      }
      assertAuthorised(offer);
      const target = await this.#deps.exit.connect(offer.target, gone.signal);
      target.on("error", ignore);
      // From here on the splice hears of the end; a signal aborted for nothing is dear.
      stream.off("close", onClose);
      if (stream.destroyed) target.destroy();
      else await this.#splice(stream, target, offer);
    } catch (error) {
      this.#refuse(stream, offer, error);
    } finally {
      this.#open -= 1;
      if (this.#open === 0) this.#emptied?.();
    }
  }

  async #readOffer(stream: ByteStream, signal: AbortSignal): Promise<Offer> {
    const tip = await readTip(stream, {
      clock: this.#deps.clock,
      deadline: this.#options.tipDeadline,
      signal,
    });
    if (tip.kind === "offer") return tip;
    throw new WireError("unexpected_message", `expected offer, got ${tip.kind}`);
  }

  #assertRoom(): void {
    if (this.#draining) throw new ExitError(Status.draining, "this server is shutting down");
    const { maxConnections } = this.#options;
    if (this.#open > maxConnections) {
      throw new LimitError(
        "too_many_connections",
        `limits.connections = ${maxConnections} is reached`,
        { data: { limit: "connections" } },
      );
    }
  }

  async #servePublic(
    stream: ByteStream,
    { traceId }: Offer,
    offer: PublicOffer,
    signal: AbortSignal,
  ): Promise<void> {
    const { publicDesk } = this.#deps;
    if (publicDesk === undefined) {
      throw new ExitError(Status.permission_denied_by_server, "nothing is exposed here");
    }
    const accept = (): ByteStream => {
      if (!stream.destroyed) writeTip(stream, { ...answer(Status.ok), inner: new Uint8Array(0) });
      return stream;
    };
    await publicDesk.serve({ offer, trace: hex(traceId), accept }, signal);
  }

  async #splice(stream: ByteStream, target: ByteStream, offer: Offer): Promise<void> {
    const who = {
      trace: hex(offer.traceId),
      client: offer.clientName,
      clientId: offer.clientId,
      clientPort: offer.clientPort,
      target: offer.target,
    };
    await this.#deps.ledger.carry(who, (progress) => {
      writeTip(stream, answer(Status.ok));
      return splice(stream, target, progress);
    });
  }

  #refuse(stream: ByteStream, offer: Offer | undefined, error: unknown): void {
    const { clock, log, metrics } = this.#deps;
    if (stream.destroyed) {
      // Nobody is left to answer.
      metrics.connectionsRefused.inc({ status: "client_gone" });
      log.child(offer === undefined ? {} : identifiers(offer)).info("server.connection.refused", {
        status: "client_gone",
        reason: errorText(error),
      });
      return;
    }
    const { status, limit } = offer === undefined ? tipRefusal(error) : refusal(error);
    metrics.connectionsRefused.inc({ status: statusName(status) });
    log.child(offer === undefined ? {} : identifiers(offer)).warn("server.connection.refused", {
      status: statusName(status),
      reason: errorText(error),
    });
    const said = answer(status, errorText(error), limit);
    const isPublic = offer?.public !== undefined;
    answerAndEnd(stream, isPublic ? { ...said, inner: new Uint8Array(0) } : said, clock);
  }
}

/** The relay has authorised the outer target; the client asked for the inner one. Only where they are one may it be opened. */
function assertAuthorised(offer: Offer): void {
  const inner = decodeForward(offer.inner);
  if (inner.target === offer.target) return;
  throw new ExitError(
    Status.permission_denied_by_server,
    `the client asks for ${inner.target}, but the relay authorised ${offer.target}`,
  );
}

function answer(status: StatusCode, text = "", limit = ""): Answer {
  const inner = encodeForwardAnswer({ status, text, capabilities: [] });
  return { kind: "answer", status, text, limit, inner };
}

function refusal(error: unknown): { status: StatusCode; limit: string } {
  if (error instanceof ExitError) return { status: error.status, limit: "" };
  if (error instanceof LimitError) {
    const { limit } = error.data;
    return { status: Status.resource_limit, limit: typeof limit === "string" ? limit : "" };
  }
  return { status: statusOfError(error), limit: "" };
}

/** A tip that never came whole breaks the protocol like one that cannot be read. */
function tipRefusal(error: unknown): { status: StatusCode; limit: string } {
  const late = error instanceof TransportError && error.code === "timeout";
  return { status: late ? Status.malformed : statusOfError(error), limit: "" };
}

function identifiers(offer: Offer): Record<string, unknown> {
  if (offer.public !== undefined) {
    const { name, remote, service, servicePort } = offer.public;
    const target = name === "" ? `port ${servicePort}` : name;
    const from = { remote: remote.address, clientPort: remote.port };
    return { client: "public", ...from, target, service, trace: hex(offer.traceId) };
  }
  const { clientName, clientPort, target, traceId } = offer;
  return { client: clientName, clientPort, target, trace: hex(traceId) };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function ignore(): void {
  // The same error reaches whoever waits for the tip, and later the splice.
}
