import { LimitError, millis, TransportError, type Clock } from "@culvert/runtime";
import type { Millis, Timer } from "@culvert/runtime";

/**
 * How many requests a site's device has at a time, each on a stream of its own. Open to all until a stream is cut off before it answered:
 * a browser asks for fifty files at once by HTTP/2, and a small web server takes five connections and resets the others. Whoever was cut
 * then enters only while fewer are inside than survived, and waits for a turn else; some seconds after the first cut the gate is open
 * again, so that answers without end cannot shut anybody out. Visitors who were not cut are not held: a stranger can make a service reset,
 * and must not shut others out by it. Among those who wait, visitors take turns.
 */
export class StreamGate {
  readonly #clock: Clock;
  readonly #visitors = new Map<string, Visitor>();
  /** Those who have somebody waiting, whose turn is next first. */
  readonly #crowd = new Set<Visitor>();
  /** Who may hold idle streams. */
  readonly #idle = new Set<GatePass>();
  #inside = 0;
  #waiting = 0;
  /** Those who wait because they were cut, and not because of their own connection's bound. */
  #held = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * A way in for one public connection; to be left when that ends. The visitor is whoever shares an address: a browser has several
   * connections. `giveUpIdle` ends the streams that the connection holds without a request on them.
   */
  join(visitor: string, giveUpIdle: () => void): GatePass {
    const found = this.#visitors.get(visitor) ?? new Visitor(visitor);
    this.#visitors.set(visitor, found);
    found.passes += 1;
    let left = false;
    const pass: GatePass = {
      ...{ inside: 0, starting: 0 },
      enter: (signal) => this.#enter(pass, found, signal),
      mayKeepIdle: () => {
        // One that was let in already takes this very stream.
        if (left || (this.#held > 0 && pass.starting === 0)) return false;
        this.#idle.add(pass);
        return true;
      },
      giveUpIdle,
      leave: () => {
        if (left) return;
        left = true;
        this.#idle.delete(pass);
        found.passes -= 1;
        this.#forget(found);
      },
    };
    return pass;
  }

  async #enter(pass: GatePass, visitor: Visitor, signal: AbortSignal): Promise<Turn> {
    if (signal.aborted) throw clientLeft(signal);
    if (visitor.waiting.size === 0 && this.#hasRoom(pass, visitor)) this.#letIn(pass, visitor);
    else await this.#turn(pass, visitor, signal);
    pass.starting -= 1;
    let inside = true;
    const end = (cut: boolean): void => {
      if (!inside) return;
      inside = false;
      this.#inside -= 1;
      visitor.inside -= 1;
      pass.inside -= 1;
      // Before anybody is let in for the one who was too many.
      if (cut) this.#narrow(visitor);
      this.#admit();
    };
    return { end: () => end(false), cut: () => end(true) };
  }

  /** Holds a visitor back for some time from its first cut, however many follow. */
  #narrow(visitor: Visitor): void {
    visitor.limit = Math.max(fewest, Math.min(visitor.limit, this.#inside));
    if (visitor.timer !== undefined) return;
    this.#held += visitor.waiting.size;
    if (visitor.waiting.size > 0) this.#giveUpIdle();
    visitor.timer = this.#clock.setTimer(
      holdTime,
      () => {
        visitor.timer = undefined;
        visitor.limit = Infinity;
        this.#held -= visitor.waiting.size;
        this.#forget(visitor);
        this.#admit();
      },
      { unref: true },
    );
  }

  #turn(pass: GatePass, visitor: Visitor, signal: AbortSignal): Promise<void> {
    const limit =
      this.#waiting >= mostWaiting
        ? "mostWaiting"
        : visitor.waiting.size >= mostWaitingOfVisitor
          ? "mostWaitingOfVisitor"
          : undefined;
    if (limit !== undefined) {
      const text = `${this.#waiting} requests wait for the device already, ${visitor.waiting.size} of this visitor`;
      throw new LimitError("queue_full", text, { data: { limit } });
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        pass,
        go: () => {
          signal.removeEventListener("abort", onAbort);
          this.#drop(visitor, waiter);
          this.#letIn(pass, visitor);
          resolve();
        },
      };
      const onAbort = (): void => {
        this.#drop(visitor, waiter);
        reject(clientLeft(signal));
      };
      signal.addEventListener("abort", onAbort, { once: true });
      visitor.waiting.add(waiter);
      this.#crowd.add(visitor);
      this.#waiting += 1;
      if (visitor.timer !== undefined) {
        this.#held += 1;
        this.#giveUpIdle();
      }
      // Those before it may wait for room on their own connection, and not on this one.
      this.#admit();
    });
  }

  #giveUpIdle(): void {
    for (const holder of this.#idle) holder.giveUpIdle();
    this.#idle.clear();
  }

  #drop(visitor: Visitor, waiter: Waiter): void {
    visitor.waiting.delete(waiter);
    this.#waiting -= 1;
    if (visitor.timer !== undefined) this.#held -= 1;
    if (visitor.waiting.size === 0) this.#crowd.delete(visitor);
  }

  #hasRoom(pass: GatePass, visitor: Visitor): boolean {
    return pass.inside < mostStreams && this.#inside < visitor.limit;
  }

  /** The place is theirs from now on, not from when they wake up. */
  #letIn(pass: GatePass, visitor: Visitor): void {
    this.#inside += 1;
    visitor.inside += 1;
    pass.inside += 1;
    pass.starting += 1;
  }

  /** Lets in who may, one of each visitor in turn. */
  #admit(): void {
    for (let some = true; some;) {
      some = false;
      for (const visitor of [...this.#crowd]) {
        if (this.#inside >= visitor.limit) continue;
        for (const waiter of visitor.waiting) {
          if (!this.#hasRoom(waiter.pass, visitor)) continue;
          // To the end of the row, if there are more of this visitor.
          this.#crowd.delete(visitor);
          this.#crowd.add(visitor);
          waiter.go();
          some = true;
          break;
        }
      }
    }
  }

  #forget(visitor: Visitor): void {
    if (visitor.passes === 0 && visitor.timer === undefined) this.#visitors.delete(visitor.key);
  }
}

/** The way in of one public connection. */
export interface GatePass {
  /** Requests of this connection inside. */
  inside: number;
  /** Those of them that do not run yet. */
  starting: number;
  /**
   * Waits for a turn.
   * @throws LimitError `queue_full` where too many wait; TransportError `aborted` when the signal fires.
   */
  enter(signal: AbortSignal): Promise<Turn>;
  /** Whether a stream whose request is over may be kept for the next one. */
  mayKeepIdle(): boolean;
  /** Ends the streams that are kept so. */
  giveUpIdle(): void;
  /** The connection is over. */
  leave(): void;
}

/** A place inside. It is given back once, by whichever is called first. */
export interface Turn {
  /** The request is over. */
  end(): void;
  /** The stream was cut off before it answered: there are too many inside. */
  cut(): void;
}

/** Everybody at one address. */
class Visitor {
  readonly key: string;
  readonly waiting = new Set<Waiter>();
  passes = 0;
  inside = 0;
  /** How many of all visitors may be inside for this one to enter. */
  limit = Infinity;
  /** Set while the limit is finite. */
  timer: Timer | undefined;

  constructor(key: string) {
    this.key = key;
  }
}

interface Waiter {
  readonly pass: GatePass;
  readonly go: () => void;
}

function clientLeft(signal: AbortSignal): TransportError {
  return new TransportError("aborted", "the client left", { cause: signal.reason });
}

/** Fewer than this no web server takes; a service that is just being restarted would seem to. */
const fewest = 4;
/** Time from a visitor's first cut in which it is held back. */
const holdTime: Millis = millis(5_000);
/** Requests of one public connection inside at a time. */
const mostStreams = 32;
const mostWaiting = 4_096;
/** Of one address, which may be several people's. */
const mostWaitingOfVisitor = 512;
