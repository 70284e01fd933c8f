import {
  CulvertError,
  errorText,
  millis,
  TransportError,
  withDeadline,
  type ByteStream,
  type Clock,
  type Millis,
  type Random,
  type SpliceProgress,
  type SpliceResult,
} from "@culvert/runtime";
import type { Log } from "@culvert/telemetry";
import { passEarlyBytes, readAnswer, writeTip, type Session } from "@culvert/transport";
import {
  decodeForwardAnswer,
  encodeForward,
  formatTarget,
  parseName,
  parseTarget,
  Status,
  statusName,
  type Answer,
} from "@culvert/wire";
import { ConnectRefused } from "./entrances/connect-refused.ts";
import type { Connector, ConnectRequest, ForwardedConnection } from "./entrances/entrance.ts";
import type { ClientMetrics } from "./metrics.ts";

/** One forwarded connection as the client sees it: its three identifiers, and what passed. */
export interface LiveConnection {
  readonly trace: string;
  readonly entrance: string;
  readonly clientPort: number;
  readonly server: string;
  readonly target: string;
  readonly openedAt: Millis;
  /** leftToRight = towards the server. */
  readonly progress: SpliceProgress;
}

/** What the connector works with. */
export interface SessionConnectorDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: ClientMetrics;
  /** The attached session, or why there is none. */
  readonly session: () => Session | { readonly unavailable: string };
}

/** Bounds of the connector. */
export interface SessionConnectorOptions {
  /** Longest wait for the answer, from tip to tip; above the relay's own. */
  readonly answerTimeout: Millis;
}

/** Opens forwarded connections as streams of the session to the relay (PROTOCOL.md, Connect). */
export class SessionConnector implements Connector {
  readonly #deps: SessionConnectorDeps;
  readonly #options: SessionConnectorOptions;
  readonly #live = new Set<LiveConnection>();
  /** Connections open or being opened. */
  #open = 0;
  #emptied: (() => void) | undefined;
  #draining = false;

  constructor(deps: SessionConnectorDeps, options: SessionConnectorOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Connections open now, oldest first. */
  get live(): Iterable<LiveConnection> {
    return this.#live;
  }

  /** Opens nothing any more; resolves when the last connection, those being opened included, has ended. */
  drained(): Promise<void> {
    this.#draining = true;
    if (this.#open === 0) return Promise.resolve();
    return new Promise((resolve) => (this.#emptied = resolve));
  }

  async connect(request: ConnectRequest): Promise<ForwardedConnection> {
    const { clock, log, metrics, random } = this.#deps;
    const traceId = random.bytes(16);
    const trace = Buffer.from(traceId).toString("hex");
    const { entrance, clientPort, server, target } = request;
    const lines = log.child({ entrance, clientPort, server, target, trace });
    this.#open += 1;
    try {
      const { stream, earlyBytes } = await this.#openConnection(request, traceId);
      const connection: LiveConnection = {
        trace,
        entrance,
        clientPort,
        server,
        target,
        openedAt: clock.now(),
        progress: { leftToRightBytes: earlyBytes, rightToLeftBytes: 0 },
      };
      this.#live.add(connection);
      metrics.connections.set(this.#live.size);
      metrics.connectionsOpened.inc({ entrance });
      lines.info("client.connection.opened");
      return {
        stream,
        traceId: trace,
        progress: connection.progress,
        finished: (result) => this.#finished(connection, result, lines),
      };
    } catch (error) {
      const status = refusalStatus(error);
      metrics.connectionsRefused.inc({ status });
      lines.warn("client.connection.refused", { status, reason: errorText(error) });
      this.#uncount();
      throw error;
    }
  }

  async #openConnection(
    request: ConnectRequest,
    traceId: Uint8Array,
  ): Promise<{ readonly stream: ByteStream; readonly earlyBytes: number }> {
    const { clock } = this.#deps;
    const { signal, clientPort, early } = request;
    const endsAt = clock.now() + this.#options.answerTimeout;
    if (this.#draining)
      throw new ConnectRefused(Status.draining, "this client is shutting down", "client");
    const session = this.#deps.session();
    if ("unavailable" in session) throw new TransportError("no_session", session.unavailable);
    const server = parseName(request.server);
    const target = formatTarget(parseTarget(request.target));
    const stream = await this.#openStream(session, signal);
    stream.on("error", ignore);
    let stopEarly: (() => number) | undefined;
    try {
      writeTip(stream, {
        kind: "connect",
        server,
        target,
        traceId,
        clientPort,
        inner: encodeForward({ clientPort, target, capabilities: [] }),
      });
      if (early !== undefined) stopEarly = passEarlyBytes(early, stream);
      const deadline = millis(Math.max(1, endsAt - clock.now()));
      assertOk(await readAnswer(stream, { clock, deadline, signal }));
      return { stream, earlyBytes: stopEarly?.() ?? 0 };
    } catch (error) {
      stopEarly?.();
      stream.destroy();
      throw error;
    }
  }

  #openStream(session: Session, signal: AbortSignal): Promise<ByteStream> {
    return withDeadline(
      {
        clock: this.#deps.clock,
        limit: this.#options.answerTimeout,
        what: "opening a stream to the relay",
        signal,
        discard: (late) => late.destroy(),
      },
      () => session.openStream(),
    );
  }

  #finished(connection: LiveConnection, result: SpliceResult, lines: Log): void {
    if (!this.#live.delete(connection)) return;
    const { clock, metrics } = this.#deps;
    metrics.connections.set(this.#live.size);
    metrics.bytes.inc({ direction: "up" }, result.leftToRightBytes);
    metrics.bytes.inc({ direction: "down" }, result.rightToLeftBytes);
    lines.info("client.connection.closed", {
      bytesUp: result.leftToRightBytes,
      bytesDown: result.rightToLeftBytes,
      durationMs: Math.round(clock.now() - connection.openedAt),
      cause: result.failure === undefined ? "finished" : causes[result.failure.side],
      ...(result.failure === undefined ? {} : { reason: result.failure.error.message }),
    });
    this.#uncount();
  }

  #uncount(): void {
    this.#open -= 1;
    if (this.#open === 0) this.#emptied?.();
  }
}

/** The relay's word first; where it is well, the server's own. */
function assertOk(answer: Answer): void {
  if (answer.inner.length > 0) {
    const inner = decodeForwardAnswer(answer.inner);
    if (inner.status !== Status.ok) throw new ConnectRefused(inner.status, inner.text, "server");
  }
  if (answer.status !== Status.ok) throw new ConnectRefused(answer.status, answer.text, "relay");
}

/** A word of a closed set: a status of PROTOCOL.md or an error code of ours. */
function refusalStatus(error: unknown): string {
  if (error instanceof ConnectRefused) return statusName(error.status).replace(/\(.*/, "");
  return error instanceof CulvertError ? (error as CulvertError).code : "internal";
}

function ignore(): void {
  // The same error reaches whoever waits for the tip, and later the splice.
}

/** The entrance's own end is the splice's left side. */
const causes = { left: "client", right: "relay" } as const;
