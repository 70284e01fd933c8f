import { errorText, InternalError, millis, TransportError, type Clock } from "@culvert/runtime";
import { dialRace } from "./happy-eyeballs.ts";
import type { Session } from "./session.ts";

/** One way to a relay. */
export interface Transport {
  /** As the configuration names it. */
  readonly name: "quic" | "wss" | "norouter";
  /** Dials the relay once and proves who it is. */
  readonly dial: (signal: AbortSignal) => Promise<Session>;
}

/** How a link dials, and how it gets from a lesser transport to the one it would rather have. */
export interface DialPlan {
  readonly dial: (signal: AbortSignal) => Promise<Session>;
  readonly better?: BetterWay;
}

/** The way to the relay that a link prefers. */
export interface BetterWay {
  readonly dial: (signal: AbortSignal) => Promise<Session>;
  /** Whether a session came this way. */
  readonly made: (session: Session) => boolean;
}

/** Plans to dial by every transport at once, the first being the one to end up with. */
export function planDials(transports: readonly Transport[], clock: Clock): DialPlan {
  const [preferred, ...others] = transports;
  if (preferred === undefined) throw new InternalError("invariant", "no transport to dial by");
  const sessions = new WeakSet<Session>();
  const dial = async (signal: AbortSignal): Promise<Session> => {
    const session = await preferred.dial(signal);
    sessions.add(session);
    return session;
  };
  if (others.length === 0) return { dial };
  return {
    dial: transportRace([{ name: preferred.name, dial }, ...others], clock),
    better: { dial, made: (session) => sessions.has(session) },
  };
}

/**
 * Makes a function that dials the relay by every transport there is: each has a head start over the next, which begins at once where
 * the one before has failed. The first authenticated session wins. Where all fail, the error tells what each met.
 */
export function transportRace(
  transports: readonly Transport[],
  clock: Clock,
): (signal: AbortSignal) => Promise<Session> {
  return (signal) =>
    dialRace<Session, Transport>(transports, {
      clock,
      stagger: transportHeadStart,
      signal,
      dial: (transport, attemptSignal) => transport.dial(attemptSignal),
      discard: (late) =>
        late.close({ by: "us", code: "too_late", text: "another transport was faster" }),
      combine: (failures) => allFailed(transports, failures),
    });
}

function allFailed(transports: readonly Transport[], failures: readonly unknown[]): Error {
  const told = transports.map(({ name }, index) => `${name}: ${errorText(failures[index])}`);
  const cause = new AggregateError(failures, "every transport failed");
  return new TransportError("dial_failed", told.join("; "), { cause });
}

/** Enough for QUIC's one round trip on nearly every path, and too short for anybody to mind where UDP is blocked. */
const transportHeadStart = millis(250);
