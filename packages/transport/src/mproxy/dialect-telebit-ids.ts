import { WireError } from "@culvert/runtime";
import { connectionKey, type ConnectionId } from "@culvert/wire";
import type { ConnectionIds, StrayFate } from "./dialect-ids.ts";

/**
 * Ids of Telebit: the public client's address, which comes again when the client uses its port again. So connections that are over
 * here are remembered, a bounded number of them, until the peer has ended them too: what still comes for them is late, not new.
 */
export class TelebitIds implements ConnectionIds {
  readonly #role: "relay" | "device";
  /** In the order of their end. */
  readonly #closing = new Set<string>();

  constructor(role: "relay" | "device") {
    this.#role = role;
  }

  opening(id: ConnectionId): void {
    this.#closing.delete(connectionKey(id));
  }

  opened(id: ConnectionId): void {
    if (this.#role === "relay") {
      throw new WireError("unexpected_message", "a device opens no connections");
    }
    this.#closing.delete(connectionKey(id));
  }

  stray(id: ConnectionId): StrayFate {
    if (this.#closing.has(connectionKey(id))) return "late";
    return this.#role === "relay" ? "refuse" : "open";
  }

  peerEnded(id: ConnectionId): void {
    this.#closing.delete(connectionKey(id));
  }

  released(id: ConnectionId, peerEnded: boolean): void {
    if (peerEnded) return;
    this.#closing.add(connectionKey(id));
    if (this.#closing.size <= maxClosing) return;
    const [oldest] = this.#closing;
    if (oldest !== undefined) this.#closing.delete(oldest);
  }
}

const maxClosing = 4_096;
