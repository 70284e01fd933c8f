import type { RemoteInfo } from "node:dgram";
import type { Config } from "@matrixai/quic/native/types.js";
import { BoundedQueue, millis, systemCode, type CloseReason } from "@culvert/runtime";
import type { PeerId } from "@culvert/identity";
import type {
  DatagramDropReason,
  ListenOptions,
  QuicConnection,
  QuicListener,
  QuicListenerStats,
  UdpAddress,
} from "../engine.ts";
import { ClosedConnections } from "./closed-connections.ts";
import { ConnectionDriver, type DriverOwner } from "./connection-driver.ts";
import type { EngineParts } from "./engine-parts.ts";
import { GuardedConnection } from "./guarded-connection.ts";
import {
  handshakeBurstPerSource,
  HandshakeAdmission,
  handshakesPerSecondPerSource,
} from "./half-open.ts";
import {
  minInitialBytes,
  ownIdBytes,
  parsePacketHeader,
  quicVersion1,
  shortHeaderId,
  type LongHeader,
} from "./packet-header.ts";
import { PeerPaths } from "./peer-paths.ts";
import { QuicheConnection } from "./quiche-connection.ts";
import { ResetTokens } from "./reset-tokens.ts";
import { RetryTokens } from "./retry-token.ts";
import { SourceBudget } from "./source-budget.ts";
import { StatelessReplies } from "./stateless-replies.ts";
import type { UdpSocket } from "./udp-socket.ts";

/** What a listener is made from. */
export interface ListenerDeps extends EngineParts {
  readonly socket: UdpSocket;
  readonly config: Config;
}

/** A bound port: tells datagrams apart by connection id, and decides which new handshakes to take on. */
export class QuicheListener implements QuicListener {
  readonly engine = "quiche" as const;
  readonly address: UdpAddress;
  readonly connections: BoundedQueue<QuicConnection>;
  readonly #deps: ListenerDeps;
  readonly #options: ListenOptions;
  readonly #admission: HandshakeAdmission;
  readonly #retryTokens: RetryTokens;
  readonly #resetTokens: ResetTokens;
  readonly #replies: StatelessReplies;
  readonly #strangers = new SourceBudget(strangersDatagrams);
  /** Apart from the others: whose connection we have forgotten must be let in again while its datagrams still come. */
  readonly #initials = new SourceBudget(strangersDatagrams);
  /** By our own connection ids. */
  readonly #byId = new Map<string, ConnectionDriver>();
  readonly #closed = new ClosedConnections();
  /**
   * By address and the ids the client chose, as long as the connection lasts: a datagram of the handshake that comes late must not
   * begin another.
   */
  readonly #byInitialId = new Map<string, ConnectionDriver>();
  readonly #drivers = new Set<ConnectionDriver>();
  readonly #counts = { started: 0, completed: 0, failed: 0, retries: 0 };
  readonly #drops: Record<DatagramDropReason, number> = {
    malformed: 0,
    unknown_connection: 0,
    bad_token: 0,
    half_open_limit: 0,
    rate_limit: 0,
    queue_full: 0,
  };
  #closing: Promise<void> | undefined;
  #warned = false;

  constructor(deps: ListenerDeps, options: ListenOptions) {
    this.#deps = deps;
    this.#options = options;
    this.address = deps.socket.address;
    this.#admission = new HandshakeAdmission(options.settings);
    this.#retryTokens = new RetryTokens(deps.random.bytes(32));
    this.#resetTokens = new ResetTokens(options.identity, this.address);
    this.#replies = new StatelessReplies(deps, this.#resetTokens);
    this.connections = new BoundedQueue(maxWaitingConnections);
    deps.socket.handle({
      onDatagram: (datagram, from) => this.#handle(datagram, from),
      onError: (error) => this.#warnOf(error),
    });
  }

  stats(): QuicListenerStats {
    return {
      handshakesStarted: this.#counts.started,
      handshakesCompleted: this.#counts.completed,
      handshakesFailed: this.#counts.failed,
      halfOpen: this.#admission.halfOpen,
      retriesSent: this.#counts.retries,
      drops: { ...this.#drops },
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const reason: CloseReason = {
      by: "us",
      code: "listener_closed",
      text: "the listener was closed",
    };
    this.connections.drain();
    for (const driver of [...this.#drivers]) driver.close(reason);
    await this.#deps.socket.closeWhenFlushed(this.#deps.clock);
  }

  #handle(datagram: Buffer, from: RemoteInfo): void {
    if (this.#closing !== undefined) return;
    const id = shortHeaderId(datagram);
    const driver = id === undefined ? undefined : this.#byId.get(id);
    const drop =
      driver === undefined ? this.#handleOther(datagram, from) : driver.receive(datagram, from);
    if (drop !== undefined) this.#drops[drop] += 1;
  }

  /** Handles what is no short packet of a connection we have. */
  #handleOther(datagram: Buffer, from: RemoteInfo): DatagramDropReason | undefined {
    const header = parsePacketHeader(datagram);
    if (header === undefined) return "malformed";
    const nowMs = this.#deps.clock.now();
    if (header.form === "short") {
      const lastWord = this.#closed.answer(key(header.dcid), datagram.length, nowMs);
      if (lastWord !== undefined) {
        if (lastWord !== "nothing") this.#replies.sayAgain(lastWord, from);
        return "unknown_connection";
      }
      if (!this.#strangers.take(from.address, nowMs)) return "rate_limit";
      this.#replies.reset(header, datagram.length, from);
      return "unknown_connection";
    }
    const driver =
      this.#byId.get(key(header.dcid)) ?? this.#byInitialId.get(initialKey(header.dcid, from));
    if (driver !== undefined) return driver.receive(datagram, from);
    const budget = header.type === "initial" ? this.#initials : this.#strangers;
    if (!budget.take(from.address, nowMs)) return "rate_limit";
    if (header.version !== quicVersion1) {
      // Version 0 is an answer of the same kind; to answer it could go on for ever.
      if (header.version === 0 || datagram.length < minInitialBytes) return "malformed";
      this.#replies.versionNegotiation(header, from);
      return undefined;
    }
    if (header.type !== "initial") return "unknown_connection";
    if (datagram.length < minInitialBytes || header.dcid.length < minFirstIdBytes) {
      return "malformed";
    }
    return this.#handleInitial(header, datagram, from, nowMs);
  }

  #handleInitial(
    header: LongHeader,
    datagram: Buffer,
    from: RemoteInfo,
    nowMs: number,
  ): DatagramDropReason | undefined {
    const source = { host: from.address, port: from.port };
    let originalDcid: Buffer | undefined;
    if (header.token.length > 0) {
      const claim = { from: source, retryScid: header.dcid };
      originalDcid = this.#retryTokens.check(header.token, claim, nowMs);
      if (originalDcid === undefined) return "bad_token";
    }
    const admission = this.#admission.decide(source.host, originalDcid !== undefined, nowMs);
    if (admission === "retry") {
      const retryScid = this.#deps.random.bytes(ownIdBytes);
      const claim = { from: source, originalDcid: header.dcid, retryScid };
      const token = this.#retryTokens.mint(claim, nowMs);
      if (this.#replies.retry(header, retryScid, token, from)) this.#counts.retries += 1;
      return undefined;
    }
    if (admission !== "accept") return admission;
    const driver = this.#accept(header, originalDcid, from, nowMs);
    return driver === undefined ? "malformed" : driver.receive(datagram, from);
  }

  #accept(
    header: LongHeader,
    originalDcid: Buffer | undefined,
    from: RemoteInfo,
    nowMs: number,
  ): ConnectionDriver | undefined {
    const { binding, clock, config, random, socket } = this.#deps;
    const id = originalDcid === undefined ? random.bytes(ownIdBytes) : Buffer.from(header.dcid);
    const remote = { host: from.address, port: from.port };
    const paths = new PeerPaths(socket.address, remote, nowMs);
    let link: GuardedConnection;
    try {
      // quiche copies it into the connection at once.
      config.setStatelessResetToken(this.#resetTokens.numberFor(id));
      link = new GuardedConnection(
        binding.Connection.accept(
          id,
          originalDcid ?? null,
          paths.local,
          paths.quicheRemote,
          config,
        ),
      );
    } catch {
      return undefined;
    }
    this.#counts.started += 1;
    this.#admission.started(remote.host, nowMs);
    const ids = new Set([key(id)]);
    const firstKeys = [header.dcid, ...(originalDcid === undefined ? [] : [originalDcid])].map(
      (dcid) => initialKey(dcid, from),
    );
    let connection: QuicheConnection | undefined;
    let halfOpen = true;
    const handshakeOver = (completed: boolean): void => {
      if (!halfOpen) return;
      halfOpen = false;
      this.#admission.ended(remote.host, clock.now());
      this.#counts[completed ? "completed" : "failed"] += 1;
    };
    const owner: DriverOwner = {
      established: (peer) => {
        handshakeOver(true);
        connection = this.#establish(driver, peer);
      },
      ended: (reason) => {
        handshakeOver(false);
        for (const known of ids) this.#byId.delete(known);
        for (const known of firstKeys) this.#byInitialId.delete(known);
        this.#drivers.delete(driver);
        if (driver.lastWord !== undefined) {
          this.#closed.add(ids, driver.lastWord, clock.now());
        }
        connection?.handleEnded(reason);
      },
      idAdded: (added) => {
        ids.add(key(added));
        this.#byId.set(key(added), driver);
      },
      idRetired: (retired) => {
        ids.delete(key(retired));
        this.#byId.delete(key(retired));
      },
    };
    const driver = new ConnectionDriver(
      { ...this.#deps, link, paths, resetTokens: this.#resetTokens, owner },
      { isServer: true, settings: this.#options.settings },
    );
    this.#drivers.add(driver);
    this.#byId.set(key(id), driver);
    for (const known of firstKeys) this.#byInitialId.set(known, driver);
    return driver;
  }

  /** One peer's datagram that the kernel refused: its connection sees it as lost. Only what an operator can mend is told, once. */
  #warnOf(error: Error): void {
    if (this.#warned || systemCode(error) !== "EMSGSIZE") return;
    this.#warned = true;
    this.#deps.warnOfSize(this.#options.settings.datagramBytes);
  }

  #establish(driver: ConnectionDriver, peer: PeerId): QuicheConnection {
    const connection = new QuicheConnection(driver, peer);
    if (!this.connections.push(connection)) {
      this.#drops.queue_full += 1;
      // Not from within the event that made it.
      this.#deps.clock.setTimer(millis(0), () =>
        connection.close({ by: "us", code: "queue_full", text: "nobody takes new connections" }),
      );
    }
    return connection;
  }
}

/** A connection id as a key of a map. */
function key(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString("latin1");
}

function initialKey(dcid: Buffer, from: RemoteInfo): string {
  return `${from.address} ${from.port} ${dcid.toString("latin1")}`;
}

/** Datagrams of no connection that one source is listened to for; twice its handshakes, since each may be asked for a token first. */
const strangersDatagrams = {
  perSecond: 2 * handshakesPerSecondPerSource,
  burst: 2 * handshakeBurstPerSource,
};
/** Least length of the id a client chooses first (RFC 9000 §7.2). */
const minFirstIdBytes = 8;
/** Established connections that wait to be taken; more are closed. */
const maxWaitingConnections = 1024;
