import {
  errorText,
  LimitError,
  millis,
  splice,
  TransportError,
  WireError,
  withDeadline,
  type ByteStream,
  type Clock,
  type SpliceResult,
} from "@culvert/runtime";
import type { Log } from "@culvert/telemetry";
import { passEarlyBytes, readAnswer, readTip, writeTip } from "@culvert/transport";
import { parseTarget, Status, statusName, type Answer, type Connect } from "@culvert/wire";
import type { ConnectionTable, LiveConnection } from "./connection-table.ts";
import type { AttachedPeer, Directory } from "./directory.ts";
import type { Grants } from "./grants.ts";
import type { RelayMetrics } from "./metrics.ts";
import type { RelayLimits } from "./options.ts";
import type { PeerLogs } from "./peer-logs.ts";
import { malformed, refuse, type Refusal } from "./refuse.ts";

/** What the broker works with. */
export interface BrokerDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly logs: PeerLogs;
  readonly metrics: RelayMetrics;
  readonly directory: Directory;
  readonly grants: Grants;
  readonly connections: ConnectionTable;
  readonly limits: RelayLimits;
  /** Whether the relay takes no new connections any more. */
  readonly draining: () => boolean;
  /** Told of every ended connection's byte counts. */
  readonly ended: (result: SpliceResult) => void;
}

/** Turns a client's stream into a forwarded connection: tip, permission, offer to the server, answer, splice. */
export class ConnectionBroker {
  readonly #deps: BrokerDeps;
  #serving = 0;
  #onIdle: (() => void) | undefined;

  constructor(deps: BrokerDeps) {
    this.#deps = deps;
  }

  /** Resolves when no stream is being served, those not answered yet included; for one waiter. */
  idle(): Promise<void> {
    if (this.#serving === 0) return Promise.resolve();
    return new Promise((resolve) => (this.#onIdle = resolve));
  }

  /** Serves one stream of a client to its end. Owns the stream; never rejects. */
  async serve(stream: ByteStream, client: AttachedPeer): Promise<void> {
    const { clock, connections, limits } = this.#deps;
    stream.on("error", () => undefined);
    const gone = new AbortController();
    const onClose = (): void => gone.abort(clientLeft());
    stream.on("close", onClose);
    const opening: Opening = {
      signal: gone.signal,
      // From here on the splice hears of the end, which is the common one: a signal aborted for nothing is dear.
      over: () => void stream.off("close", onClose),
    };
    const startedAt = clock.now();
    const uncount = connections.countClient(client.peer.id);
    this.#serving += 1;
    try {
      if (connections.ofClient(client.peer.id) > limits.connectionsPerClient) {
        this.#refuse(stream, client, undefined, limitReached("connectionsPerClient", limits));
        return;
      }
      const connect = await this.#readConnect(stream, client, gone.signal);
      if (connect === undefined) return;
      const judged = this.#judge(client, connect);
      if ("status" in judged) this.#refuse(stream, client, connect, judged);
      else await this.#connect(stream, { client, server: judged, connect }, startedAt, opening);
    } finally {
      uncount();
      this.#serving -= 1;
      if (this.#serving === 0) this.#onIdle?.();
    }
  }

  async #readConnect(
    stream: ByteStream,
    client: AttachedPeer,
    signal: AbortSignal,
  ): Promise<Connect | undefined> {
    const { clock, limits, metrics } = this.#deps;
    try {
      const tip = await readTip(stream, { clock, deadline: limits.tipDeadline, signal });
      if (tip.kind === "connect") return tip;
      metrics.tipErrors.inc({ reason: "unexpected_message" });
      this.#refuse(stream, client, undefined, malformed(`expected connect, got ${tip.kind}`));
    } catch (error) {
      metrics.tipErrors.inc({ reason: tipErrorReason(error) });
      this.#refuse(stream, client, undefined, tipRefusal(error));
    }
    return undefined;
  }

  /** Every stream is judged anew, on the very values that are acted on. */
  #judge(client: AttachedPeer, connect: Connect): Refusal | AttachedPeer {
    const { directory, grants, connections, limits, draining } = this.#deps;
    const { name } = client.peer;
    if (draining()) return { status: Status.draining, text: "the relay is shutting down" };
    const denied: Refusal = {
      status: Status.permission_denied_by_relay,
      text: `${name} has no grant for ${connect.server}:${connect.target}`,
    };
    if (!grants.mayKnow(name, connect.server)) return denied;
    const peer = directory.server(connect.server);
    if (peer === undefined) {
      return { status: Status.unknown_server, text: `no server is named ${connect.server}` };
    }
    if (!grants.allows(name, connect.server, parseTarget(connect.target))) return denied;
    const server = directory.attached(peer);
    if (server === undefined) {
      return { status: Status.server_offline, text: `${connect.server} is not attached` };
    }
    if (connections.ofServer(peer.name) >= limits.connectionsPerServer) {
      return limitReached("connectionsPerServer", limits);
    }
    return server;
  }

  async #connect(
    stream: ByteStream,
    request: Request,
    startedAt: number,
    opening: Opening,
  ): Promise<void> {
    const { clock, connections, metrics } = this.#deps;
    const { client, connect } = request;
    const uncount = connections.countServer(connect.server);
    try {
      const offered = await this.#offer(stream, request, opening.signal);
      if (offered.kind === "refused") {
        this.#refuse(stream, client, connect, offered.refusal, offered.answer);
        return;
      }
      metrics.setupSeconds.observe((clock.now() - startedAt) / 1000);
      if (stream.destroyed) {
        offered.stream.destroy(clientLeft());
        return;
      }
      opening.over();
      writeTip(stream, offered.answer);
      await this.#splice(stream, offered, client, connect);
    } finally {
      uncount();
    }
  }

  /** Asks the server, and passes on what the client says meanwhile; the stream it gives back is past its answer. */
  async #offer(
    asking: ByteStream,
    { client, server, connect }: Request,
    signal: AbortSignal,
  ): Promise<Offered> {
    const { clock, limits } = this.#deps;
    const endsAt = clock.now() + limits.connectTimeout;
    let stream: ByteStream | undefined;
    let stopEarly: (() => number) | undefined;
    try {
      stream = await withDeadline(
        {
          clock,
          limit: limits.connectTimeout,
          what: `opening a stream to ${connect.server}`,
          signal,
          discard: (late) => late.destroy(),
        },
        () => server.session.openStream(),
      );
      stream.on("error", () => undefined);
      writeTip(stream, {
        kind: "offer",
        clientId: client.peer.id,
        clientName: client.peer.name,
        target: connect.target,
        traceId: connect.traceId,
        clientPort: connect.clientPort,
        inner: connect.inner,
      });
      stopEarly = passEarlyBytes(asking, stream);
      const deadline = millis(Math.max(1, endsAt - clock.now()));
      const answer = await readAnswer(stream, { clock, deadline, signal });
      const earlyBytes = stopEarly();
      if (answer.status === Status.ok) return { kind: "open", stream, answer, earlyBytes };
      stream.destroy();
      const { status, text, limit } = answer;
      return { kind: "refused", refusal: { status, text, limit }, answer };
    } catch (error) {
      stopEarly?.();
      stream?.destroy();
      return { kind: "refused", refusal: offerRefusal(error, connect.server), answer: undefined };
    }
  }

  async #splice(
    left: ByteStream,
    { stream: right, earlyBytes }: Opened,
    client: AttachedPeer,
    connect: Connect,
  ): Promise<void> {
    const { clock, connections, log, metrics, ended } = this.#deps;
    const connection: LiveConnection = {
      traceId: hex(connect.traceId),
      client: client.peer.name,
      clientId: client.peer.id,
      clientPort: connect.clientPort,
      server: connect.server,
      target: connect.target,
      openedAt: clock.now(),
      progress: { leftToRightBytes: earlyBytes, rightToLeftBytes: 0 },
    };
    const remove = connections.add(connection);
    metrics.connectionsOpened.inc();
    const { clientPort, server, target, traceId: trace } = connection;
    const lines = log.child({ client: connection.client, clientPort, server, target, trace });
    lines.info("relay.connection.opened");
    const result = await splice(left, right, connection.progress);
    remove();
    ended(result);
    const cause = closeCause(result);
    metrics.connectionsClosed.inc({ cause });
    lines.info("relay.connection.closed", {
      bytesUp: result.leftToRightBytes,
      bytesDown: result.rightToLeftBytes,
      durationMs: Math.round(clock.now() - connection.openedAt),
      cause,
      ...(result.failure === undefined ? {} : { reason: result.failure.error.message }),
    });
  }

  #refuse(
    stream: ByteStream,
    client: AttachedPeer,
    connect: Connect | undefined,
    refusal: Refusal,
    answer?: Answer,
  ): void {
    const { clock, log, logs, metrics } = this.#deps;
    if (stream.destroyed) {
      // Nobody is left to answer, and nobody to blame but who left.
      metrics.connectionsRefused.inc({ status: "client_gone" });
      log
        .child(identifiers(client, connect))
        .debug("relay.connection.refused", { status: "client_gone", reason: refusal.text });
      return;
    }
    metrics.connectionsRefused.inc({ status: statusName(refusal.status).replace(/\(.*/, "") });
    logs
      .of(client.peer.name)
      .child(identifiers(client, connect))
      .warn("relay.connection.refused", {
        status: statusName(refusal.status),
        reason: refusal.text,
        ...(refusal.limit ? { limit: refusal.limit } : {}),
      });
    refuse(stream, refusal, clock, answer?.inner);
  }
}

/** A connect that was judged well. */
interface Request {
  readonly client: AttachedPeer;
  readonly server: AttachedPeer;
  readonly connect: Connect;
}

/** The time until a connection is open, in which its client may leave. */
interface Opening {
  /** Aborts when the client leaves. */
  readonly signal: AbortSignal;
  /** Ends it. */
  readonly over: () => void;
}

/** A stream that the server has accepted. */
interface Opened {
  readonly kind: "open";
  readonly stream: ByteStream;
  readonly answer: Answer;
  /** What was passed on to it ahead of the answer. */
  readonly earlyBytes: number;
}

type Offered =
  | Opened
  | { readonly kind: "refused"; readonly refusal: Refusal; readonly answer: Answer | undefined };

function identifiers(client: AttachedPeer, connect: Connect | undefined): Record<string, unknown> {
  return {
    client: client.peer.name,
    ...(connect === undefined
      ? {}
      : {
          clientPort: connect.clientPort,
          server: connect.server,
          target: connect.target,
          trace: hex(connect.traceId),
        }),
  };
}

function clientLeft(): TransportError {
  return new TransportError("stream_reset", "the client left");
}

function limitReached(
  limit: "connectionsPerClient" | "connectionsPerServer",
  limits: RelayLimits,
): Refusal {
  return {
    status: Status.resource_limit,
    text: `limits.${limit} = ${limits[limit]} is reached`,
    limit,
  };
}

function tipErrorReason(error: unknown): string {
  return error instanceof WireError || error instanceof TransportError ? error.code : "internal";
}

function tipRefusal(error: unknown): Refusal {
  if (error instanceof WireError && error.code === "unsupported_version") {
    return { status: Status.unsupported_version, text: error.message };
  }
  return malformed(errorText(error));
}

function offerRefusal(error: unknown, server: string): Refusal {
  if (error instanceof LimitError) {
    const text = `${server} takes no more streams: ${error.message}`;
    return { status: Status.resource_limit, text, limit: "quic.maxStreams" };
  }
  if (error instanceof WireError) {
    return { status: Status.internal, text: `${server} answered nonsense: ${error.message}` };
  }
  if (error instanceof TransportError && error.code === "timeout") {
    return { status: Status.target_timeout, text: `${server} did not answer in time` };
  }
  return { status: Status.server_offline, text: `${server} went away: ${errorText(error)}` };
}

/** Who ended a connection, for metric and log: a closed set. */
function closeCause({ failure }: SpliceResult): "finished" | "client" | "server" {
  if (failure === undefined) return "finished";
  return failure.side === "left" ? "client" : "server";
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
