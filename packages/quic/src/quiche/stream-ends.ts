import type { QuicSettings } from "../settings.ts";
import type { GuardedConnection } from "./guarded-connection.ts";
import type { QuicheStream } from "./quiche-stream.ts";
import type { SendWindow } from "./send-window.ts";
import { staysOnMachine } from "./transport-config.ts";

interface Repeat {
  readonly streamId: number;
  readonly left: number;
}

/**
 * Hands FIN to quiche for streams that ended after their last byte was handed over.
 *
 * quiche 0.18 takes a stream for finished, and forgets it, once all its bytes are acknowledged, whether a FIN that followed them was
 * sent or arrived. So such a FIN is handed over only when it can leave at once, before anything else is received; and on a path
 * that may lose datagrams it is repeated a few times while quiche knows the stream: at once where an acknowledgement of what went
 * before may be back by the next turn, else over some turns, since what is lost is often lost together.
 */
export class StreamEnds {
  readonly #link: GuardedConnection;
  readonly #window: SendWindow;
  readonly #pathIsLong: boolean;
  readonly #waiting = new Set<QuicheStream>();
  #repeats: Repeat[] = [];
  #nextTurn: Repeat[] = [];

  constructor(link: GuardedConnection, window: SendWindow, settings: QuicSettings) {
    this.#link = link;
    this.#window = window;
    this.#pathIsLong = !staysOnMachine(settings);
  }

  /** Streams whose FIN has not been handed over. */
  get size(): number {
    return this.#waiting.size;
  }

  add(stream: QuicheStream): void {
    this.#waiting.add(stream);
  }

  delete(stream: QuicheStream): void {
    this.#waiting.delete(stream);
  }

  /**
   * Hands one FIN over, which is to be sent at once; the socket takes so many datagrams more. Returns false if there is none that can be
   * sent now.
   */
  handOver(freeSlots: number): boolean {
    // Before another one takes the room that was left for them.
    if (this.#repeat()) return true;
    const repeats = this.#pathIsLong || this.#window.isLossy ? maxRepeats : 0;
    // The copies go at once too where the stream may be forgotten by the next turn.
    const copies = 1 + repeats;
    if (freeSlots < copies) return false;
    for (const stream of this.#waiting) {
      const capacity = this.#link.streamCapacity(stream.streamId);
      if (typeof capacity === "number" && !this.#window.isDrained(capacity, copies)) continue;
      this.#waiting.delete(stream);
      if (!stream.handOverFin(this.#link)) continue;
      this.#window.handed(0);
      if (repeats > 0) this.#repeats.push({ streamId: stream.streamId, left: repeats });
      return true;
    }
    return false;
  }

  /** Ends a turn of the connection. Returns whether another is wanted soon. */
  endTurn(): boolean {
    if (this.#nextTurn.length === 0) return false;
    this.#repeats.push(...this.#nextTurn);
    this.#nextTurn = [];
    return true;
  }

  #roundTripIsShort(): boolean {
    return (this.#link.activePath()?.rttMs ?? 0) < shortRoundTripMs;
  }

  #repeat(): boolean {
    const kept: Repeat[] = [];
    let handed = false;
    for (const repeat of this.#repeats) {
      const capacity = handed ? undefined : this.#link.streamCapacity(repeat.streamId);
      if (capacity === undefined) {
        kept.push(repeat);
      } else if (typeof capacity === "number") {
        if (this.#window.isDrained(capacity)) {
          this.#link.streamSend(repeat.streamId, noBytes, true);
          this.#window.handed(0);
          if (repeat.left > 1) {
            const next = this.#roundTripIsShort() ? kept : this.#nextTurn;
            next.push({ ...repeat, left: repeat.left - 1 });
          }
          handed = true;
        } else {
          kept.push(repeat);
        }
      }
    }
    this.#repeats = kept;
    return handed;
  }
}

const shortRoundTripMs = 30;
const noBytes = new Uint8Array(0);
/** With one datagram in thirty lost, four copies fail once in a million. */
const maxRepeats = 3;
/** Datagrams that one FIN and its copies take. */
export const maxFinDatagrams = 1 + maxRepeats;
