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
import { answerAndEnd, closeGently, readTip, type Session } from "@culvert/transport";
import {
  Capability,
  Status,
  statusOfError,
  type Attach,
  type AttachAnswer,
  type StatusCode,
} from "@culvert/wire";
import type { ConnectionBroker } from "./connection-broker.ts";
import type { AttachedPeer, Directory } from "./directory.ts";
import type { RelayMetrics, SessionRefusal } from "./metrics.ts";
import type { KnownPeer, RelayLimits } from "./options.ts";
import type { PeerLogs } from "./peer-logs.ts";
import type { PublicOffers } from "./public-offers/public-offers.ts";

/** What the desk works with. */
export interface DeskDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly logs: PeerLogs;
  readonly metrics: RelayMetrics;
  readonly directory: Directory;
  readonly broker: ConnectionBroker;
  readonly publicOffers: PublicOffers;
  readonly limits: RelayLimits;
  readonly software: string;
  readonly draining: () => boolean;
}

/** Receives sessions: who are you, are you known, are you here already; then serves them to their end. */
export class SessionDesk {
  readonly #deps: DeskDeps;
  readonly #sessions = new Set<Session>();
  #attached = 0;
  #strangers = 0;

  constructor(deps: DeskDeps) {
    this.#deps = deps;
  }

  /** Serves a session until it ends. Owns it; never rejects. */
  async serve(session: Session): Promise<void> {
    const peer = this.#deps.directory.known(session.peer);
    const stranger = peer === undefined;
    if (stranger && this.#strangers >= mostStrangers) {
      this.#count(session, peer, "limit", `${mostStrangers} strangers are waiting already`);
      session.close({ by: "us", code: "limit", text: "too many sessions" });
      return;
    }
    this.#sessions.add(session);
    if (stranger) this.#strangers += 1;
    let attached: AttachedPeer | undefined;
    try {
      const streams = session.streams[Symbol.asyncIterator]();
      attached = await this.#receive(session, peer, streams);
      if (attached !== undefined) await this.#serveAttached(attached, streams);
    } finally {
      if (attached !== undefined) this.#deps.publicOffers.detach(attached);
      if (peer !== undefined) this.#detach(session, peer);
      if (stranger) this.#strangers -= 1;
      this.#sessions.delete(session);
    }
  }

  /** Closes every session, each once its last bytes have arrived. */
  async closeAll(reason: CloseReason): Promise<void> {
    const { clock } = this.#deps;
    await Promise.all([...this.#sessions].map((session) => closeGently(session, reason, clock)));
  }

  async #serveAttached(attached: AttachedPeer, streams: AsyncIterator<ByteStream>): Promise<void> {
    const { peer, session, services, software, transient } = attached;
    this.#attached += 1;
    try {
      this.#deps.log.info("relay.session.opened", {
        ...describe(session, peer),
        services,
        software,
        transient,
      });
      await this.#serveStreams(attached, streams);
      this.#log(attached, await session.closed);
    } finally {
      this.#attached -= 1;
    }
  }

  async #receive(
    session: Session,
    peer: KnownPeer | undefined,
    streams: AsyncIterator<ByteStream>,
  ): Promise<AttachedPeer | undefined> {
    const { clock, limits } = this.#deps;
    let stream: ByteStream;
    try {
      const first = await withDeadline({ clock, limit: limits.tipDeadline, what: "attach" }, () =>
        streams.next(),
      );
      if (first.done === true) throw new TransportError("connection_closed", "left without a word");
      stream = first.value;
      stream.on("error", () => undefined);
    } catch (error) {
      this.#count(session, peer, isTimeout(error) ? "timeout" : "malformed", errorText(error));
      session.close({ by: "us", code: "attach_failed", text: errorText(error) });
      return undefined;
    }
    const judged = await this.#hear(session, peer, stream);
    if (judged.kind === "attached") {
      const exposes = this.#deps.publicOffers.attach(judged.attached);
      const answer = this.#answer(Status.ok, "", judged.attached.peer.name);
      answerAndEnd(stream, exposes.length === 0 ? answer : { ...answer, exposes }, clock);
      return judged.attached;
    }
    this.#count(session, peer, judged.reason, judged.text);
    answerAndEnd(stream, this.#answer(judged.status, judged.text, ""), clock);
    await this.#closeAfterAnswer(session, judged.text);
    return undefined;
  }

  /** Whatever the first stream brings, it is answered (PROTOCOL.md §4.4). */
  async #hear(
    session: Session,
    peer: KnownPeer | undefined,
    stream: ByteStream,
  ): Promise<Judgement> {
    const { clock, limits } = this.#deps;
    try {
      const tip = await readTip(stream, { clock, deadline: limits.tipDeadline });
      if (tip.kind === "attach") return this.#judge(session, peer, tip);
      const text = `a session begins with attach, not with ${tip.kind}`;
      return refused(Status.malformed, "malformed", text);
    } catch (error) {
      return isTimeout(error)
        ? refused(Status.malformed, "timeout", errorText(error))
        : refused(statusOfError(error), "malformed", errorText(error));
    }
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
    const { sessions } = this.#deps.limits;
    if (this.#attached >= sessions && directory.attached(peer) === undefined) {
      return refused(Status.resource_limit, "limit", `limits.sessions = ${sessions} is reached`);
    }
    const outcome = directory.attach(peer, session, attach, clock.now());
    switch (outcome.kind) {
      case "attached":
        for (const replaced of outcome.replaced) this.#replace(replaced, session, peer);
        if (outcome.left !== undefined) this.#leave(outcome.left, session, peer);
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

  #replace(replaced: AttachedPeer, session: Session, peer: KnownPeer): void {
    const { log, metrics, publicOffers } = this.#deps;
    publicOffers.detach(replaced);
    metrics.sessionsSuperseded.inc();
    log.info("relay.session.superseded", describe(session, peer));
    const text = "a newer session of this identity attached";
    replaced.session.close({ by: "us", code: "superseded", text });
  }

  /** A peer that had moved to the session may know of the one before it alone, where the answer to its attach was lost. */
  #detach(session: Session, peer: KnownPeer): void {
    const { directory, log, publicOffers } = this.#deps;
    const back = directory.detach(peer, session);
    if (back === undefined) return;
    publicOffers.attach(back);
    log.info("relay.session.returned", {
      ...describe(back.session, peer),
      from: session.transport,
    });
  }

  /** From here on the peer is offered connections on the new session alone; the old one lives while it has any. */
  #leave(left: AttachedPeer, session: Session, peer: KnownPeer): void {
    const { log, metrics, publicOffers } = this.#deps;
    publicOffers.detach(left);
    metrics.sessionsMoved.inc();
    const from = left.session.transport;
    log.info("relay.session.moved", { ...describe(session, peer), from });
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
    const capabilities = [Capability.move];
    return { kind: "attachAnswer", status, text, name, software, capabilities };
  }

  #count(
    session: Session,
    peer: KnownPeer | undefined,
    reason: SessionRefusal,
    text: string,
  ): void {
    this.#deps.metrics.sessionsRefused.inc({ reason });
    this.#deps.logs.of(peer?.name).warn("relay.session.refused", {
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

function isTimeout(error: unknown): boolean {
  return error instanceof TransportError && error.code === "timeout";
}

function refused(status: StatusCode, reason: SessionRefusal, text: string): Judgement {
  return { kind: "refused", status, reason, text };
}

function describe(session: Session, peer: KnownPeer | undefined): Record<string, unknown> {
  return {
    peer: peer?.name ?? session.peer,
    ...(peer === undefined ? {} : { peerId: peer.id, peerRole: peer.role }),
    remote: session.remote,
    transport: session.transport,
  };
}

const answerLinger = millis(1_000);
/** Sessions of unknown keys that may wait for their refusal at a time: keys are free, and known peers are not to be crowded out. */
const mostStrangers = 256;
