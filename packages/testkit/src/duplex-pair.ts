import { Duplex } from "node:stream";
import { TransportError } from "@culvert/runtime";

/**
 * Two joined byte streams inside this process: what one end writes, the other reads, as copies. Half-close both ways,
 * back-pressure (a write is acknowledged when its bytes were taken by the reader's buffer), and an abort of one end is
 * TransportError `stream_reset` at the other. Neither end needs an `error` listener.
 */
export function duplexPair(): [Duplex, Duplex] {
  const one = new JoinedDuplex();
  const other = new JoinedDuplex();
  one.join(other);
  other.join(one);
  return [one, other];
}

class JoinedDuplex extends Duplex {
  #other: JoinedDuplex = this;
  #arrived: Arrival | undefined;
  #wanted = false;

  constructor() {
    super({ allowHalfOpen: true });
    this.on("error", () => undefined);
  }

  join(other: JoinedDuplex): void {
    this.#other = other;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    // A copy, so that a writer who reuses its buffer too early is found out; later, as over any wire.
    const bytes = Buffer.from(chunk);
    setImmediate(() => this.#other.#arrive({ bytes, taken: done }));
  }

  override _final(done: () => void): void {
    setImmediate(() => {
      this.#other.#arrive("fin");
      done();
    });
  }

  override _read(): void {
    this.#wanted = true;
    this.#passOn();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const arrived = this.#arrived;
    this.#arrived = undefined;
    if (arrived !== undefined && arrived !== "fin") arrived.taken();
    const clean = this.readableEnded && this.writableFinished;
    if (!clean) setImmediate(() => this.#other.#abort());
    done(error);
  }

  #arrive(what: Arrival): void {
    if (this.destroyed) {
      if (what !== "fin") what.taken();
      return;
    }
    this.#arrived = what;
    this.#passOn();
  }

  #passOn(): void {
    const arrived = this.#arrived;
    if (arrived === undefined) return;
    if (arrived === "fin") {
      this.#arrived = undefined;
      this.push(null);
      return;
    }
    if (!this.#wanted) return;
    this.#wanted = false;
    this.#arrived = undefined;
    if (this.push(arrived.bytes)) this.#wanted = true;
    arrived.taken();
  }

  #abort(): void {
    this.destroy(new TransportError("stream_reset", "the other end aborted the stream"));
  }
}

type Arrival = { readonly bytes: Buffer; readonly taken: () => void } | "fin";
