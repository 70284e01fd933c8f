import { WireError, type Clock } from "@culvert/runtime";
import type { ControlMessage } from "@culvert/wire";

/** Pings of a tunnel between two of ours and their answers (PROTOCOL.md §11); measures the round trip. */
export class TunnelPings {
  readonly #clock: Clock;
  readonly #send: (message: ControlMessage) => void;
  readonly #waiting: { readonly id: number; readonly sentMs: number; readonly done: () => void }[] =
    [];
  #lastId = firstPingId - 1;
  #rttMs = 0;

  constructor(clock: Clock, send: (message: ControlMessage) => void) {
    this.#clock = clock;
    this.#send = send;
  }

  /** Smoothed round trip as RFC 6298 does it; 0 before the first answer. */
  get rttMs(): number {
    return this.#rttMs;
  }

  /** Gives a sign of life, and asks for one unless many answers are outstanding already. */
  keepAlive(): void {
    if (this.#waiting.length < maxOutstanding) this.ping();
    else this.#send({ type: "notice", error: null });
  }

  /** Sends a ping. `done` is called when it is answered: everything written before has arrived then. */
  ping(done: () => void = () => undefined): void {
    this.#lastId += 1;
    this.#waiting.push({ id: this.#lastId, sentMs: this.#clock.now(), done });
    this.#send({ type: "command", id: this.#lastId, command: pingCommand, args: [] });
  }

  /** Whether the tunnel keeps this message to itself; handles it if so. @throws WireError `unexpected_message` */
  take(message: ControlMessage): boolean {
    if (message.type === "command" && message.command === pingCommand) {
      this.#send({ type: "answer", id: message.id, error: null, results: [] });
      return true;
    }
    if (message.type === "notice" && message.error === null) return true;
    if (message.type !== "answer" || message.id < firstPingId) return false;
    // Answers come in the order of the pings.
    const answered = this.#waiting.shift();
    if (answered?.id !== message.id) {
      throw new WireError("unexpected_message", "an answer to a ping that was not sent");
    }
    const tookMs = this.#clock.now() - answered.sentMs;
    this.#rttMs = this.#rttMs === 0 ? tookMs : this.#rttMs + (tookMs - this.#rttMs) / 8;
    answered.done();
    return true;
  }
}

const pingCommand = "ping";
/** A peer that does not answer, or whom we do not read, costs no more than this. */
const maxOutstanding = 16;
/** Ids from here on are the tunnel's own; below are those of whoever uses its control messages. */
const firstPingId = 2 ** 31;
