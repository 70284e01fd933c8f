import {
  errorText,
  millis,
  TransportError,
  withDeadline,
  type ByteStream,
  type Clock,
  type CloseReason,
} from "@culvert/runtime";
import type { Log } from "@culvert/telemetry";
import { answerAndEnd, readTip, type Session } from "@culvert/transport";
import { Status, type Attach, type AttachAnswer, type StatusCode } from "@culvert/wire";
import type { ConnectionBroker } from "./connection-broker.ts";
import type { AttachedPeer, Directory } from "./directory.ts";
import type { RelayMetrics, SessionRefusal } from "./metrics.ts";
import type { KnownPeer, RelayLimits } from "./options.ts";

/** What the desk works with. */
export interface DeskDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: RelayMetrics;
  readonly directory: Directory;
  readonly broker: ConnectionBroker;
  readonly limits: RelayLimits;
  readonly software: string;
  readonly draining: () => boolean;
}

/** Receives sessions: who are you, are you known, are you here already; then serves them to their end. */
export class SessionDesk {
  readonly #deps: DeskDeps;
  readonly #sessions = new Set<Session>();

  constructor(deps: DeskDeps) {
    this.#deps = deps;
  }

  /** Serves a session until it ends. Owns it; never rejects. */
  async serve(session: Session): Promise<void> {
    const { limits } = this.#deps;
    const peer = this.#deps.directory.known(session.peer);
    if (this.#sessions.size >= limits.sessions) {
      this.#count(session, peer, "limit", `limits.sessions = ${limits.sessions} is reached`);
      session.close({ by: "us", code: "limit", text: "too many sessions" });
      return;
    }
    this.#sessions.add(session);
    try {
      const streams = session.streams[Symbol.asyncIterator]();
      const attached = await this.#receive(session, peer, streams);
      if (attached === undefined) return;
      this.#deps.log.info("relay.session.opened", {
        ...describe(session, attached.peer),
        services: attached.services,
        software: attached.software,
        transient: attached.transient,
      });
      await this.#serveStreams(attached, streams);
      this.#log(attached, await session.closed);
    } finally {
      if (peer !== undefined) this.#deps.directory.detach(peer, session);
      this.#sessions.delete(session);
    }
  }

  /** Closes every session. */
  closeAll(reason: CloseReason): void {
    for (const session of this.#sessions) session.close(reason);
  }

  async #receive(
    session: Session,
    peer: KnownPeer | undefined,
    streams: AsyncIterator<ByteStream>,
  ): Promise<AttachedPeer | undefined> {
    let asked: { stream: ByteStream; attach: Attach };
    try {
      asked = await this.#readAttach(session, streams);
    } catch (error) {
      const timedOut = error instanceof TransportError && error.code === "timeout";
      this.#count(session, peer, timedOut ? "timeout" : "malformed", errorText(error));
      session.close({ by: "us", code: "attach_failed", text: errorText(error) });
      return undefined;
    }
    const judged = this.#judge(session, peer, asked.attach);
    const { clock } = this.#deps;
    if (judged.kind === "attached") {
      const { attached } = judged;
      answerAndEnd(asked.stream, this.#answer(Status.ok, "", attached.peer.name), clock);
      return attached;
    }
    this.#count(session, peer, judged.reason, judged.text);
    answerAndEnd(asked.stream, this.#answer(judged.status, judged.text, ""), clock);
    await this.#closeAfterAnswer(session, judged.text);
    return undefined;
  }

  async #readAttach(
    session: Session,
    streams: AsyncIterator<ByteStream>,
  ): Promise<{ stream: ByteStream; attach: Attach }> {
    const { clock, limits } = this.#deps;
    const deadline = limits.tipDeadline;
    const first = await withDeadline({ clock, limit: deadline, what: "attach" }, () =>
      streams.next(),
    );
    if (first.done === true) throw new TransportError("connection_closed", "left without a word");
    const stream = first.value;
    stream.on("error", () => undefined);
    const tip = await readTip(stream, { clock, deadline });
    if (tip.kind === "attach") return { stream, attach: tip };
    answerAndEnd(
      stream,
      this.#answer(Status.malformed, `expected attach, got ${tip.kind}`, ""),
      clock,
    );
    throw new TransportError("refused", `${session.peer} began with ${tip.kind}, not with attach`);
  }

  #judge(session: Session, peer: KnownPeer | undefined, attach: Attach): Judgement {
    const { clock, directory, draining, metrics } = this.#deps;
    if (draining()) {
      return refused(Status.draining, "draining", "the relay is shutting down");
    }
    const denied = Status.permission_denied_by_relay;
    if (peer === undefined) {
      const text = `${session.peer} is not among this relay's peers; its operator can add it`;
      return refused(denied, "unknown_peer", text);
    }
    if (peer.role !== attach.role) {
      const text = `${peer.name} is known as a ${peer.role}, not as a ${attach.role}`;
      return refused(denied, "wrong_role", text);
    }
    const outcome = directory.attach(peer, session, attach, clock.now());
    switch (outcome.kind) {
      case "attached":
        if (outcome.replaced !== undefined) {
          metrics.sessionsSuperseded.inc();
          this.#deps.log.info("relay.session.superseded", describe(session, peer));
          const text = "a newer session of this identity attached";
          outcome.replaced.session.close({ by: "us", code: "superseded", text });
        }
        metrics.sessionsOpened.inc({ role: peer.role });
        return outcome;
      case "superseded": {
        const text = `another process with the key of ${peer.name} attached later and is still here`;
        return refused(Status.superseded, "superseded", text);
      }
      case "limit":
        return refused(Status.resource_limit, "limit", `limits.${outcome.limit} is reached`);
    }
  }

  async #serveStreams(attached: AttachedPeer, streams: AsyncIterator<ByteStream>): Promise<void> {
    for (;;) {
      const next = await streams.next();
      if (next.done === true) return;
      if (attached.peer.role === "client") {
        void this.#deps.broker.serve(next.value, attached);
      } else {
        this.#deps.metrics.tipErrors.inc({ reason: "unexpected_stream" });
        next.value.on("error", () => undefined);
        next.value.destroy();
      }
    }
  }

  /** Lets the answer out, since a close would overtake it, but waits no longer than it must. */
  async #closeAfterAnswer(session: Session, text: string): Promise<void> {
    const { clock } = this.#deps;
    await withDeadline({ clock, limit: answerLinger, what: "goodbye" }, () => session.closed).catch(
      () => undefined,
    );
    session.close({ by: "us", code: "refused", text });
  }

  #answer(status: StatusCode, text: string, name: string): AttachAnswer {
    const { software } = this.#deps;
    return { kind: "attachAnswer", status, text, name, software, capabilities: [] };
  }

  #count(
    session: Session,
    peer: KnownPeer | undefined,
    reason: SessionRefusal,
    text: string,
  ): void {
    this.#deps.metrics.sessionsRefused.inc({ reason });
    this.#deps.log.warn("relay.session.refused", {
      ...describe(session, peer),
      cause: reason,
      reason: text,
    });
  }

  #log(attached: AttachedPeer, reason: CloseReason): void {
    const { clock, log } = this.#deps;
    log.info("relay.session.closed", {
      ...describe(attached.session, attached.peer),
      by: reason.by,
      code: reason.code,
      reason: reason.text,
      durationMs: Math.round(clock.now() - attached.attachedAt),
    });
  }
}

type Judgement =
  | { readonly kind: "attached"; readonly attached: AttachedPeer }
  | {
      readonly kind: "refused";
      readonly status: StatusCode;
      readonly reason: SessionRefusal;
      readonly text: string;
    };

function refused(status: StatusCode, reason: SessionRefusal, text: string): Judgement {
  return { kind: "refused", status, reason, text };
}

function describe(session: Session, peer: KnownPeer | undefined): Record<string, unknown> {
  return {
    peer: peer?.name ?? session.peer,
    ...(peer === undefined ? {} : { peerId: peer.id, role: peer.role }),
    remote: session.remote,
    transport: session.transport,
  };
}

const answerLinger = millis(1_000);
