import {
  errorText,
  InternalError,
  TransportError,
  WireError,
  type ByteStream,
  type Clock,
  type CloseReason,
} from "@culvert/runtime";
import { quoteText, type ControlMessage } from "@culvert/wire";
import type { Carrier } from "./carrier.ts";
import { dialectRules } from "./dialect.ts";
import type {
  ConnectionHandler,
  ConnectionMeta,
  Tunnel,
  TunnelAgreement,
  TunnelControl,
  TunnelDeps,
  TunnelDialect,
  TunnelOptions,
  TunnelSettings,
  TunnelStats,
} from "./tunnel-api.ts";
import { tunnelDefaults } from "./tunnel-defaults.ts";
import { closeMessage, closeReasonOf, protocolError } from "./tunnel-goodbye.ts";
import { TunnelLinger } from "./tunnel-linger.ts";
import { TunnelLiveness } from "./tunnel-liveness.ts";
import { TunnelPings } from "./tunnel-pings.ts";
import { TunnelReader } from "./tunnel-reader.ts";
import { TunnelStreams } from "./tunnel-streams.ts";
import { TunnelWriter } from "./tunnel-writer.ts";

/** Many connections over one carrier, between two of ours or with a Telebit program (PROTOCOL.md §11). */
export class MproxyTunnel implements Tunnel {
  readonly remote: string;
  readonly carrier: Carrier["kind"];
  readonly dialect: TunnelDialect;
  readonly closed: Promise<CloseReason>;
  readonly control: TunnelControl;
  readonly #carrier: Carrier;
  readonly #settings: TunnelSettings;
  /** Both ends are ours. */
  readonly #ours: boolean;
  readonly #writer: TunnelWriter;
  readonly #streams: TunnelStreams;
  readonly #reader: TunnelReader;
  readonly #pings: TunnelPings;
  readonly #liveness: TunnelLiveness | undefined;
  #onControl: (message: ControlMessage) => void = refuseControl;
  #unreadBytes = 0;
  #paused = false;
  #over: CloseReason | undefined;
  #settle: (reason: CloseReason) => void = () => undefined;

  constructor({ carrier, clock }: TunnelDeps, { dialect, settings }: TunnelOptions) {
    this.#carrier = carrier;
    this.dialect = dialect;
    this.remote = carrier.remote;
    this.carrier = carrier.kind;
    this.#settings = { ...tunnelDefaults, ...settings };
    this.closed = new Promise((resolve) => (this.#settle = resolve));
    const rules = dialectRules(dialect, this.#settings);
    this.#ours = rules.ours;
    this.#writer = new TunnelWriter(carrier, this.#settings, {
      wrote: () => this.#liveness?.sent(),
      failed: (error) => this.#fail("internal_error", errorText(error)),
      overOwed: () => this.#fail("owed_limit", "the peer makes us answer and does not read"),
    });
    this.#streams = new TunnelStreams({
      rules,
      settings: this.#settings,
      writer: this.#writer,
      linger: new TunnelLinger(clock, this.#settings.endLinger),
      unreadChanged: (bytes) => this.#unreadChanged(bytes),
    });
    const control = (message: ControlMessage): void => this.#handleControl(message);
    this.#reader = new TunnelReader(this.#streams, control, this.#settings);
    this.#pings = new TunnelPings(clock, (message) => this.#writer.control(message));
    this.#liveness = this.#watchLiveness(clock);
    this.control = {
      send: (message) => this.#writer.control(message),
      on: (handler) => (this.#onControl = handler),
    };
    carrier.start({
      data: (bytes) => this.#handleData(bytes),
      drain: () => this.#writer.drained(),
      alive: () => this.#liveness?.heard(),
      closed: (reason) => this.#finish(this.#asHeard(reason)),
    });
  }

  allowStreams(onConnection: ConnectionHandler, agreement: TunnelAgreement = {}): void {
    this.#streams.allow(onConnection, agreement);
    // The first round trip is measured at once.
    if (this.#ours && this.#over === undefined) this.#pings.ping();
  }

  open(meta: ConnectionMeta, firstBytes?: Uint8Array): ByteStream {
    if (this.#over !== undefined) throw closedError(this.#over);
    if (!this.#streams.allowed) {
      throw new InternalError("invariant", "a connection opened before that is allowed");
    }
    return this.#streams.openOurs(meta, firstBytes);
  }

  async drain(): Promise<void> {
    for (;;) {
      if (this.#over !== undefined) return;
      let retry: () => void = () => undefined;
      const changed = new Promise<void>((resolve) => (retry = resolve));
      if (this.#streams.flushed(retry)) break;
      await changed;
    }
    if (!this.#ours) return;
    // Its answer comes after everything that was handed over before.
    const answered = new Promise<void>((resolve) => this.#pings.ping(resolve));
    await Promise.race([answered, this.closed]);
  }

  close(reason: CloseReason): void {
    if (this.#over !== undefined) return;
    if (this.#ours) this.#writer.lastControl(closeMessage(reason));
    this.#finish(reason);
  }

  stats(): TunnelStats {
    return {
      ...this.#writer.counts,
      receivedBytes: this.#streams.receivedBytes,
      receivedFrames: this.#reader.receivedFrames,
      openStreams: this.#streams.size,
      unreadBytes: this.#unreadBytes,
      rttMs: this.#pings.rttMs,
      drops: { ...this.#streams.drops },
    };
  }

  #watchLiveness(clock: Clock): TunnelLiveness | undefined {
    // With a real peer over bare TLS there is nothing to ask.
    if (!this.#ours && this.#carrier.ping === undefined) return undefined;
    return new TunnelLiveness(clock, this.#settings, {
      ping: () => {
        if (this.#ours) this.#pings.keepAlive();
        else this.#carrier.ping?.();
      },
      idle: (silentMs) => {
        const text = `nothing heard for ${Math.round(silentMs)} ms`;
        this.#finish({ by: "timeout", code: "idle", text });
      },
    });
  }

  #handleData(bytes: Uint8Array): void {
    if (this.#over !== undefined) return;
    this.#liveness?.heard();
    try {
      this.#reader.push(bytes);
    } catch (error) {
      // Any other error is a defect of ours, and the frames behind it may not be trusted either.
      const code = error instanceof WireError ? protocolError : "internal_error";
      this.#fail(code, errorText(error));
    }
  }

  #handleControl(message: ControlMessage): void {
    if (this.#ours) {
      if (this.#pings.take(message)) return;
      const reason = closeReasonOf(message);
      if (reason !== undefined) {
        this.#finish(reason);
        return;
      }
    }
    this.#onControl(message);
  }

  #unreadChanged(bytes: number): void {
    this.#unreadBytes += bytes;
    const limit = this.#settings.maxUnreadBytesOverAll;
    if (!this.#paused && this.#unreadBytes > limit) this.#carrier.pause();
    else if (this.#paused && this.#unreadBytes * 2 <= limit) this.#carrier.resume();
    else return;
    this.#paused = !this.#paused;
    if (this.#liveness !== undefined) this.#liveness.deaf = this.#paused;
  }

  #fail(code: string, text: string): void {
    this.close({ by: "us", code, text });
  }

  #finish(reason: CloseReason): void {
    if (this.#over !== undefined) return;
    this.#over = reason;
    this.#liveness?.stop();
    this.#reader.stop();
    this.#writer.finish();
    this.#carrier.close(reason);
    this.#streams.finish(closedError(reason), reason.by === "us");
    this.#settle(reason);
  }

  /** An end within a frame is no orderly end. */
  #asHeard(reason: CloseReason): CloseReason {
    if (reason.by !== "peer-app" || this.#reader.atBoundary) return reason;
    return { by: "network", code: "truncated", text: "the carrier ended within a frame" };
  }
}

function refuseControl(message: ControlMessage): void {
  const what = message.type === "command" ? `the command ${quoteText(message.command)}` : "it";
  throw new WireError("unexpected_message", `nobody here takes ${what}`);
}

function closedError(reason: CloseReason): TransportError {
  return new TransportError("connection_closed", `the session is closed: ${reason.text}`, {
    data: { by: reason.by, code: reason.code },
  });
}
