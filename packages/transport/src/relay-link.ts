import {
  errorText,
  millis,
  RetrySchedule,
  sleep,
  TransportError,
  withDeadline,
  type Clock,
  type CloseReason,
  type Millis,
  type Random,
  type RetryOptions,
} from "@culvert/runtime";
import {
  Capability,
  Status,
  statusName,
  type Attach,
  type AttachAnswer,
  type StatusCode,
} from "@culvert/wire";
import { attach } from "./attach.ts";
import { closeGently } from "./close-gently.ts";
import { LeavingSessions } from "./leaving-sessions.ts";
import type { Session } from "./session.ts";
import type { BetterWay } from "./transport-race.ts";

/** What a link tells its owner, for logs and metrics. */
export interface LinkObserver {
  dialing(attempt: number): void;
  /** A dial or attach failed; the next try comes after `delay`. */
  retrying(error: Error, delay: Millis): void;
  /** The relay answered, and said no; the next try comes after `delay`. */
  refused(status: StatusCode, text: string, delay: Millis): void;
  attached(session: Session, answer: AttachAnswer): void;
  detached(reason: CloseReason): void;
  /** A better session took over from another, which keeps the streams it has. */
  moved(from: Session, to: Session): void;
  /** An attempt to move failed; the session stays, and the next attempt comes after `delay`. */
  notMoved(error: Error, delay: Millis): void;
  /** A session that was moved away from is over. */
  left(session: Session, reason: CloseReason): void;
}

/** What a link needs from outside. */
export interface RelayLinkDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly dial: (signal: AbortSignal) => Promise<Session>;
  /** The way that the link moves to, as soon as it can, where {@link dial} has found another. */
  readonly better?: BetterWay;
  readonly observer: LinkObserver;
  /** Takes the streams the relay opens, of each session; without it they are never looked at, and their number is bounded by the session. */
  readonly serve?: (session: Session) => void;
}

/** How a link attaches and retries. */
export interface RelayLinkOptions {
  /** What to say of ourselves to the relay. */
  readonly attach: Attach;
  readonly retry: RetryOptions;
  /** Longest wait for a session, from name lookup to proved identity. */
  readonly dialTimeout: Millis;
  readonly tipDeadline: Millis;
  /** How long streams may go on on a session that the link has moved away from. */
  readonly moveDrain: Millis;
}

/** Where a link stands. */
export type LinkState =
  | { readonly kind: "idle" }
  | { readonly kind: "connecting"; readonly lastError: string | undefined }
  | {
      readonly kind: "attached";
      readonly session: Session;
      readonly answer: AttachAnswer;
      readonly since: Millis;
      /** Sessions the link has moved away from, whose streams go on. */
      readonly leaving: readonly Session[];
    }
  | { readonly kind: "stopped" };

/**
 * Keeps exactly one attached session to the relay: dials, attaches, and dials again with capped, jittered back-off, for ever
 * (PROTOCOL.md, Attach). The session it holds may end at any moment; users of {@link session} see its streams reset. Where it came
 * by a lesser transport the link moves to the better one when that works: new streams first, the open ones stay where they are.
 */
export class RelayLink {
  readonly #deps: RelayLinkDeps;
  readonly #options: RelayLinkOptions;
  readonly #schedule: RetrySchedule;
  readonly #stop = new AbortController();
  readonly #leaving: LeavingSessions;
  #state: LinkState = { kind: "idle" };
  #running: Promise<void> = Promise.resolve();

  constructor(deps: RelayLinkDeps, options: RelayLinkOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#schedule = new RetrySchedule(deps.random, options.retry);
    this.#leaving = new LeavingSessions({
      clock: deps.clock,
      limit: options.moveDrain,
      left: (session, reason) => deps.observer.left(session, reason),
    });
  }

  get state(): LinkState {
    if (this.#state.kind !== "attached") return this.#state;
    return { ...this.#state, leaving: this.#leaving.list };
  }

  /** The attached session, if there is one now. */
  get session(): Session | undefined {
    return this.#state.kind === "attached" ? this.#state.session : undefined;
  }

  /** Starts dialling; returns at once. Starting twice does nothing. */
  start(): void {
    if (this.#state.kind !== "idle") return;
    this.#state = { kind: "connecting", lastError: undefined };
    this.#running = this.#run();
  }

  /** Stops dialling, for good, and closes what it holds once the last bytes have arrived (see {@link closeGently}). */
  async stop(reason: CloseReason): Promise<void> {
    const session = this.session;
    this.#state = { kind: "stopped" };
    this.#stop.abort(new TransportError("aborted", reason.text));
    await Promise.all([
      this.#leaving.close(reason),
      session === undefined ? undefined : closeGently(session, reason, this.#deps.clock),
    ]);
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const delay = await this.#connectOnce();
      await sleep(this.#deps.clock, delay, this.#stop.signal).catch(() => undefined);
    }
  }

  /** One session from dial to end. Returns how long to wait before the next. */
  async #connectOnce(): Promise<Millis> {
    const { clock, observer } = this.#deps;
    observer.dialing(this.#schedule.attempt + 1);
    let session: Session | undefined;
    try {
      session = await this.#dial(this.#deps.dial, this.#stop.signal);
      const answer = await attach(session, this.#options, clock, this.#stop.signal);
      if (answer.status !== Status.ok) {
        session.close({ by: "us", code: "refused", text: statusName(answer.status) });
        return this.#refused(answer);
      }
      this.#stop.signal.throwIfAborted();
      return await this.#serve(session, answer);
    } catch (error) {
      session?.close({ by: "us", code: "attach_failed", text: errorText(error) });
      const delay = this.#schedule.next();
      if (this.#stop.signal.aborted) return delay;
      this.#state = { kind: "connecting", lastError: errorText(error) };
      observer.retrying(error instanceof Error ? error : new Error(String(error)), delay);
      return delay;
    }
  }

  #dial(dial: (signal: AbortSignal) => Promise<Session>, signal: AbortSignal): Promise<Session> {
    return withDeadline(
      {
        clock: this.#deps.clock,
        limit: this.#options.dialTimeout,
        what: "dialling the relay",
        signal,
        discard: (late) => late.close({ by: "us", code: "too_late", text: "dialled too slowly" }),
      },
      dial,
    );
  }

  #refused(answer: AttachAnswer): Millis {
    const jitter = 0.5 + this.#deps.random.fraction() / 2;
    const pause = answer.status === Status.draining ? this.#schedule.next() : refusedPause * jitter;
    const delay = millis(pause);
    this.#state = {
      kind: "connecting",
      lastError: `the relay refused: ${statusName(answer.status)}: ${answer.text}`,
    };
    this.#deps.observer.refused(answer.status, answer.text, delay);
    return delay;
  }

  async #serve(session: Session, answer: AttachAnswer): Promise<Millis> {
    const { clock, observer } = this.#deps;
    const attachedAt = clock.now();
    let current: Attached = { session, answer };
    this.#hold(current);
    observer.attached(session, answer);
    this.#deps.serve?.(session);
    for (;;) {
      const moved = await this.#move(current);
      if (moved === undefined) break;
      const from = current.session;
      current = moved;
      this.#hold(current);
      observer.moved(from, current.session);
      this.#deps.serve?.(current.session);
      this.#leaving.add(from);
    }
    const reason = await current.session.closed;
    if (!this.#stop.signal.aborted) {
      this.#state = { kind: "connecting", lastError: `session lost: ${reason.text}` };
    }
    observer.detached(reason);
    const lastedMs = clock.now() - attachedAt;
    // A session that dies young counts as a failed attempt, or two peers could chase each other without pause.
    if (lastedMs >= youngSession) this.#schedule.reset();
    // A relay that answers so has started anew and is there: there is nothing to wait for.
    if (reason.code === "stateless_reset" && lastedMs >= shortestLife) return millis(0);
    return this.#schedule.next();
  }

  #hold({ session, answer }: Attached): void {
    this.#state = { kind: "attached", session, answer, since: this.#deps.clock.now(), leaving: [] };
  }

  /** Waits for a better session while the one there is lasts; undefined where that ended first. */
  async #move({ session, answer }: Attached): Promise<Attached | undefined> {
    const { better } = this.#deps;
    const over = new AbortController();
    const ended = session.closed.then(() => over.abort());
    if (better === undefined || better.made(session) || !knowsMove(answer)) {
      await ended;
      return undefined;
    }
    const signal = AbortSignal.any([over.signal, this.#stop.signal]);
    const moved = await this.#seek(better, signal);
    if (moved === undefined) await ended;
    return moved;
  }

  /** Tries the better way with a back-off of its own until it leads somewhere, or the signal ends it. */
  async #seek(better: BetterWay, signal: AbortSignal): Promise<Attached | undefined> {
    const { clock, random, observer } = this.#deps;
    const { attach: said, tipDeadline } = this.#options;
    const schedule = new RetrySchedule(random, moveRetry);
    const tip = { ...said, capabilities: [...said.capabilities, Capability.move] };
    let delay = schedule.next();
    for (;;) {
      let session: Session | undefined;
      try {
        await sleep(clock, delay, signal);
        session = await this.#dial(better.dial, signal);
        const answer = await attach(session, { attach: tip, tipDeadline }, clock, signal);
        if (answer.status === Status.ok) return { session, answer };
        const text = `the relay refused: ${statusName(answer.status)}: ${answer.text}`;
        throw new TransportError("refused", text, { data: { status: answer.status } });
      } catch (error) {
        session?.close({ by: "us", code: "attach_failed", text: errorText(error) });
        if (signal.aborted) return undefined;
        delay = schedule.next();
        observer.notMoved(error instanceof Error ? error : new Error(String(error)), delay);
      }
    }
  }
}

/** A session that the relay has welcomed. */
interface Attached {
  readonly session: Session;
  readonly answer: AttachAnswer;
}

/** Another relay would close the session that is to be moved away from, and its streams with it. */
function knowsMove({ capabilities }: AttachAnswer): boolean {
  return capabilities.includes(Capability.move);
}

/** Pause after the relay has said no, which a quick retry would not change. */
const refusedPause = millis(5_000);
const youngSession = millis(1_000);
/** Between two dials without a pause at the least, whatever the relay does. */
const shortestLife = millis(500);
/** UDP that a firewall blocks stays blocked for long, and a network that has changed is noticed soon enough. */
const moveRetry: RetryOptions = { first: millis(1_000), cap: millis(60_000), factor: 2 };
