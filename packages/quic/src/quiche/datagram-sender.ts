import type { AckDelay } from "./ack-delay.ts";
import type { GuardedConnection } from "./guarded-connection.ts";
import type { PeerPaths } from "./peer-paths.ts";
import type { SendWindow } from "./send-window.ts";
import type { SlotWaiter, UdpSocket } from "./udp-socket.ts";

/** What a {@link DatagramSender} works with. */
export interface DatagramSenderDeps {
  readonly link: GuardedConnection;
  readonly paths: PeerPaths;
  readonly socket: UdpSocket;
  readonly window: SendWindow;
  readonly acks: AckDelay;
  /** Is told when a slot is free again, after there was none. */
  readonly waiter: SlotWaiter;
}

/** Takes from quiche what one connection has to send, and hands it to the socket. */
export class DatagramSender {
  readonly #deps: DatagramSenderDeps;

  constructor(deps: DatagramSenderDeps) {
    this.#deps = deps;
  }

  /** Sends all there is. Returns false where slots were missing; the waiter then hears of the next. */
  flush(): boolean {
    for (let count = 0; ; count += 1) {
      const length = this.#next(false);
      if (length === 0) return true;
      if (length !== undefined) continue;
      this.#deps.socket.awaitSlot(this.#deps.waiter, count === 0);
      return false;
    }
  }

  /** Sends a FIN that was handed over when all else had been sent. Returns as {@link flush}. */
  flushEnd(): boolean {
    const length = this.#next(false);
    if (length === 0) {
      // It found no room, which nothing else had told.
      this.#deps.window.shrunk();
      return true;
    }
    if (length === undefined || length > longestEndBytes) return this.flush();
    // quiche held nothing else, so all it has to say was in there.
    this.#sentAll();
    return true;
  }

  /** Sends what tells the peer that it is over, for which no slot is waited. */
  sendLastWords(): void {
    for (let count = 0; count < maxLastWords; count += 1) {
      if (!this.#next(true)) return;
    }
  }

  /**
   * Sends the probes of paths the peer has left to where it is now. quiche 0.18 finds out what was lost on a path only when
   * something sent on it is acknowledged, and on a path that is dead nothing ever would be.
   */
  probeOldPaths(): void {
    const { link, paths } = this.#deps;
    for (const path of paths.others()) {
      if (!this.#toPeer((out) => link.sendOnPath(out, path))) return;
    }
  }

  /** Tells quiche that the congestion window ended the last flight; see {@link GuardedConnection.claimWindowLimited}. */
  claimWindowLimited(): void {
    const { link } = this.#deps;
    this.#toPeer((out) => link.claimWindowLimited(out));
  }

  /** Sends a datagram. Returns its length, 0 if quiche has none now, undefined if there is no slot for one. */
  #next(lastWord: boolean): number | undefined {
    const { link, paths, socket, window } = this.#deps;
    const slot = socket.takeSlot(lastWord);
    if (slot === undefined) return undefined;
    const sent = link.send(slot.buffer);
    if (sent === null) {
      socket.returnSlot(slot);
      this.#sentAll();
      return 0;
    }
    const [length, { to }] = sent;
    link.counts.sentDatagrams += 1;
    window.sent(length);
    socket.send(slot, length, paths.destination(to));
    return length;
  }

  /** quiche has nothing more to send now. */
  #sentAll(): void {
    const { link, window, acks } = this.#deps;
    link.sentAll();
    window.flushed();
    acks.paid();
  }

  /** Sends what `write` writes to where the peer is now. Returns false if there is no slot. */
  #toPeer(write: (out: Uint8Array) => number): boolean {
    const { paths, socket } = this.#deps;
    const slot = socket.takeSlot();
    if (slot === undefined) return false;
    const length = write(slot.buffer);
    if (length > 0) socket.send(slot, length, paths.remote);
    else socket.returnSlot(slot);
    return true;
  }
}

/** A datagram with FIN alone is no longer, unless much has to be acknowledged. */
const longestEndBytes = 512;
/** Datagrams a closing connection may send beyond the socket's bound. */
const maxLastWords = 4;
