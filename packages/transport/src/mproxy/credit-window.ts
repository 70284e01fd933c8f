import { WireError } from "@culvert/runtime";
import type { Credit, FlowFrame, FlowWord } from "./credit.ts";

/**
 * Credit between two of ours: nobody sends more than a window ahead of what the other's reader has taken, of which `resume`
 * tells with every quarter of the window. `pause` holds the sender altogether until the next `resume`.
 */
export class WindowCredit implements Credit {
  readonly #sendWindowBytes: number;
  readonly #receiveWindowBytes: number;
  #sentBytes = 0;
  #peerReadBytes = 0;
  #paused = false;
  #readBytes = 0;
  #toldBytes = 0;

  constructor(windows: { readonly send: number; readonly receive: number }) {
    this.#sendWindowBytes = windows.send;
    this.#receiveWindowBytes = windows.receive;
  }

  get sendable(): number {
    if (this.#paused) return 0;
    return this.#peerReadBytes + this.#sendWindowBytes - this.#sentBytes;
  }

  sent(bytes: number): void {
    this.#sentBytes += bytes;
  }

  heard(word: FlowWord, readBytes: number | undefined): void {
    if (readBytes === undefined || readBytes > this.#sentBytes || readBytes < this.#peerReadBytes) {
      throw new WireError(
        "malformed_message",
        `${word}: ${readBytes ?? "no number of"} bytes read, after ${this.#peerReadBytes}, of ${this.#sentBytes} sent`,
      );
    }
    this.#peerReadBytes = readBytes;
    this.#paused = word === "pause";
  }

  received(_bytes: number, unreadBytes: number): boolean {
    return this.#readBytes + unreadBytes <= this.#toldBytes + this.#receiveWindowBytes;
  }

  read(bytes: number): void {
    this.#readBytes += bytes;
  }

  get owes(): boolean {
    return (this.#readBytes - this.#toldBytes) * 4 >= this.#receiveWindowBytes;
  }

  takeOwed(): FlowFrame | undefined {
    if (!this.owes) return undefined;
    this.#toldBytes = this.#readBytes;
    return { word: "resume", readBytes: this.#readBytes };
  }
}
