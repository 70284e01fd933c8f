import { randomFillSync } from "node:crypto";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { InternalError } from "@culvert/runtime";
import { WebSocket } from "ws";
import type { MakeMask } from "./web-socket-frame.ts";

/** A socket on which both ends speak WebSocket from now on. */
export interface OpenWebSocket {
  readonly socket: Duplex;
  /** How our frames are masked: as the dialling end's must be, and no other's (RFC 6455 §5.1). */
  readonly makeMask: MakeMask | undefined;
  /** Most bytes of one message of the peer. */
  readonly maxMessageBytes: number;
}

/**
 * A WebSocket of `ws` up to its `open`: `ws` makes the upgrade, to either end, and the socket is then taken from it, not read. What comes
 * after is framed here, since `ws` copies each message together from the pieces it arrives in and keeps all of them for the garbage
 * collection. Of its other methods only `terminate` is of use, before `open`.
 */
export class UpgradedWebSocket extends WebSocket {
  #open: OpenWebSocket | undefined;

  /** Takes over the socket. Once, from `open` on; whoever takes it owns it. */
  take(): OpenWebSocket {
    const open = this.#open;
    if (open === undefined) throw new InternalError("invariant", "the WebSocket is not open");
    this.#open = undefined;
    return open;
  }

  /** Called by `ws` where the upgrade is complete; stands in for its own, which would read and write from then on. */
  setSocket(
    socket: Duplex,
    head: Uint8Array,
    { maxPayload, generateMask = randomMask }: UpgradeResult,
  ): void {
    socket.pause();
    if (socket instanceof Socket) {
      socket.setTimeout(0);
      socket.setNoDelay();
    }
    if (head.length > 0) socket.unshift(head);
    // `ws` gives it to those that dial.
    const dialled = (this.url as string | undefined) !== undefined;
    this.#open = {
      socket,
      makeMask: dialled ? generateMask : undefined,
      maxMessageBytes: maxPayload,
    };
    this.emit("open");
  }
}

interface UpgradeResult {
  readonly maxPayload: number;
  readonly generateMask?: MakeMask;
}

function randomMask(mask: Uint8Array): void {
  randomFillSync(mask);
}
