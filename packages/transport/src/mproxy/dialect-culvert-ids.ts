import { WireError } from "@culvert/runtime";
import { quoteText, type ConnectionId } from "@culvert/wire";
import type { ConnectionIds } from "./dialect-ids.ts";

/**
 * Ids between two of ours: `culvert`, then `d` or `l` for who opened it, the dialler or the listener, then a number that grows
 * with each. An id is never used twice, so nothing needs to be remembered of those that are over.
 */
export class CulvertIds implements ConnectionIds {
  readonly #us: string;
  readonly #peer: string;
  #lastOurs = 0;
  #lastPeers = 0;

  constructor(dialler: boolean) {
    [this.#us, this.#peer] = dialler ? ["d", "l"] : ["l", "d"];
  }

  opening(id: ConnectionId): void {
    this.#lastOurs = Math.max(this.#lastOurs, Number(id.port));
  }

  opened(id: ConnectionId): void {
    const number = numberOf(id);
    if (id.address !== this.#peer || number <= this.#lastPeers) {
      throw unexpected("a connection opened with an id that is not new", id);
    }
    this.#lastPeers = number;
  }

  stray(id: ConnectionId): "late" {
    const number = numberOf(id);
    const known =
      (id.address === this.#us && number <= this.#lastOurs) ||
      (id.address === this.#peer && number <= this.#lastPeers);
    if (!known) throw unexpected("a frame of a connection that was never opened", id);
    return "late";
  }

  peerEnded(): void {
    // Ids do not come again.
  }

  released(): void {
    // Ids do not come again.
  }
}

/** The id of our `number`th connection. */
export function culvertId(dialler: boolean, number: number): ConnectionId {
  return { family: idFamily, address: dialler ? "d" : "l", port: String(number) };
}

function numberOf(id: ConnectionId): number {
  if (id.family === idFamily && /^[1-9][0-9]{0,14}$/.test(id.port)) return Number(id.port);
  throw unexpected("an id that is none of ours", id);
}

function unexpected(what: string, { family, address, port }: ConnectionId): WireError {
  const id = quoteText(`${family},${address},${port}`);
  return new WireError("unexpected_message", `${what}: ${id}`);
}

const idFamily = "culvert";
