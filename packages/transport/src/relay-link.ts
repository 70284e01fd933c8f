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
import { Status, statusName, type Attach, type AttachAnswer, type StatusCode } from "@culvert/wire";
import { closeGently } from "./close-gently.ts";
import type { Session } from "./session.ts";
import { readTip, writeTip } from "./tip-io.ts";

/** What a link tells its owner, for logs and metrics. */
export interface LinkObserver {
  dialing(attempt: number): void;
  /** A dial or attach failed; the next try comes after `delay`. */
  retrying(error: Error, delay: Millis): void;
  /** The relay answered, and said no; the next try comes after `delay`. */
  refused(status: StatusCode, text: string, delay: Millis): void;
  attached(session: Session, answer: AttachAnswer): void;
  detached(reason: CloseReason): void;
}

/** What a link needs from outside. */
export interface RelayLinkDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly dial: (signal: AbortSignal) => Promise<Session>;
  readonly observer: LinkObserver;
  /** Takes the streams the relay opens; without it they are never looked at, and their number is bounded by the session. */
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
    }
  | { readonly kind: "stopped" };

/**
 * Keeps exactly one attached session to the relay: dials, attaches, and dials again with capped, jittered back-off, for ever
 * (PROTOCOL.md, Attach). The session it holds may end at any moment; users of {@link session} see its streams reset.
 */
export class RelayLink {
  readonly #deps: RelayLinkDeps;
  readonly #options: RelayLinkOptions;
  readonly #schedule: RetrySchedule;
  readonly #stop = new AbortController();
  #state: LinkState = { kind: "idle" };
  #running: Promise<void> = Promise.resolve();

  constructor(deps: RelayLinkDeps, options: RelayLinkOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#schedule = new RetrySchedule(deps.random, options.retry);
  }

  get state(): LinkState {
    return this.#state;
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

  /** Stops dialling, for good, and closes the session once its last bytes have arrived (see {@link closeGently}). */
  async stop(reason: CloseReason): Promise<void> {
    const session = this.session;
    this.#state = { kind: "stopped" };
    this.#stop.abort(new TransportError("aborted", reason.text));
    if (session !== undefined) await closeGently(session, reason, this.#deps.clock);
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
      session = await this.#dial();
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

  #dial(): Promise<Session> {
    return withDeadline(
      {
        clock: this.#deps.clock,
        limit: this.#options.dialTimeout,
        what: "dialling the relay",
        signal: this.#stop.signal,
        discard: (late) => late.close({ by: "us", code: "too_late", text: "dialled too slowly" }),
      },
      (signal) => this.#deps.dial(signal),
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
    this.#state = { kind: "attached", session, answer, since: attachedAt };
    observer.attached(session, answer);
    this.#deps.serve?.(session);
    const reason = await session.closed;
    if (!this.#stop.signal.aborted) {
      this.#state = { kind: "connecting", lastError: `session lost: ${reason.text}` };
    }
    observer.detached(reason);
    // A session that dies young counts as a failed attempt, or two peers could chase each other without pause.
    if (clock.now() - attachedAt >= youngSession) this.#schedule.reset();
    return this.#schedule.next();
  }
}

/**
 * Says who we are on a fresh session and waits for the relay's answer.
 * @throws WireError or TransportError if the answer does not come or is none.
 */
export async function attach(
  session: Session,
  options: { readonly attach: Attach; readonly tipDeadline: Millis },
  clock: Clock,
  signal: AbortSignal,
): Promise<AttachAnswer> {
  const stream = await session.openStream();
  stream.on("error", () => undefined);
  try {
    writeTip(stream, options.attach);
    stream.end();
    const tip = await readTip(stream, { clock, deadline: options.tipDeadline, signal });
    if (tip.kind === "attachAnswer") {
      stream.resume();
      return tip;
    }
    throw new TransportError("refused", `the relay answered an attach with ${tip.kind}`);
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

/** Pause after the relay has said no, which a quick retry would not change. */
const refusedPause = millis(5_000);
const youngSession = millis(1_000);
