import type { Credit, FlowFrame, FlowWord } from "./credit.ts";

/** When a {@link PauseCredit} asks the peer to wait, and when it has had too much. */
export interface PauseLimits {
  readonly pauseAboveBytes: number;
  readonly maxUnreadBytes: number;
}

/** Credit with the Telebit programs: one sends until it is asked to pause, and goes on when told to resume. */
export class PauseCredit implements Credit {
  readonly #limits: PauseLimits;
  #maySend = true;
  #readBytes = 0;
  #wanted: FlowWord = "resume";
  #told: FlowWord = "resume";

  constructor(limits: PauseLimits) {
    this.#limits = limits;
  }

  get sendable(): number {
    return this.#maySend ? Number.MAX_SAFE_INTEGER : 0;
  }

  sent(): void {
    // They keep no count.
  }

  heard(word: FlowWord): void {
    this.#maySend = word === "resume";
  }

  received(_bytes: number, unreadBytes: number): boolean {
    if (unreadBytes > this.#limits.pauseAboveBytes) this.#wanted = "pause";
    return unreadBytes <= this.#limits.maxUnreadBytes;
  }

  read(bytes: number, unreadBytes: number): void {
    this.#readBytes += bytes;
    if (unreadBytes * 4 <= this.#limits.pauseAboveBytes) this.#wanted = "resume";
  }

  get owes(): boolean {
    return this.#wanted !== this.#told;
  }

  takeOwed(): FlowFrame | undefined {
    if (!this.owes) return undefined;
    this.#told = this.#wanted;
    return { word: this.#told, readBytes: this.#readBytes };
  }
}
