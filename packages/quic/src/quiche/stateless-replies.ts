import type { RemoteInfo } from "node:dgram";
import type { Clock, Random } from "@culvert/runtime";
import type { QuicheBinding } from "./binding.ts";
import { quicVersion1, type LongHeader, type ShortHeader } from "./packet-header.ts";
import type { ResetTokens } from "./reset-tokens.ts";
import type { SendSlot, UdpSocket } from "./udp-socket.ts";

/** What {@link StatelessReplies} are made from. */
export interface ReplyDeps {
  readonly binding: QuicheBinding;
  readonly clock: Clock;
  readonly random: Random;
  readonly socket: UdpSocket;
}

/**
 * Answers that need no connection. None but a close that is said again is longer than what it answers, so they are of no use to flood a
 * third party.
 */
export class StatelessReplies {
  readonly #deps: ReplyDeps;
  readonly #tokens: ResetTokens;
  #resetsLeft = resetsPerSecond;
  #refilledMs: number;

  constructor(deps: ReplyDeps, tokens: ResetTokens) {
    this.#deps = deps;
    this.#tokens = tokens;
    this.#refilledMs = deps.clock.now();
  }

  /** Says which versions there are (RFC 9000 §17.2.1). */
  versionNegotiation(header: LongHeader, to: RemoteInfo): boolean {
    return this.#reply(to, ({ buffer }) =>
      this.#deps.binding.negotiateVersion(header.scid, header.dcid, buffer),
    );
  }

  /** Asks the client to come again with a token and another connection id (RFC 9000 §17.2.5). */
  retry(header: LongHeader, newScid: Uint8Array, token: Uint8Array, to: RemoteInfo): boolean {
    const { scid, dcid } = header;
    return this.#reply(to, ({ buffer }) =>
      this.#deps.binding.retry(scid, dcid, newScid, token, quicVersion1, buffer),
    );
  }

  /**
   * Says that the connection of a short packet is not known, for instance since a restart (RFC 9000 §10.3). At most
   * {@link resetsPerSecond}, and always shorter than the packet, so that two ends cannot keep answering each other.
   */
  reset(header: ShortHeader, receivedBytes: number, to: RemoteInfo): boolean {
    const length = Math.min(receivedBytes - 1, maxResetBytes);
    if (length < minResetBytes || !this.#mayReset()) return false;
    return this.#reply(to, ({ buffer }) => {
      buffer.set(this.#deps.random.bytes(length - tokenBytes));
      buffer[0] = ((buffer[0] ?? 0) & 0x3f) | 0x40;
      buffer.set(this.#tokens.bytesFor(header.dcid), length - tokenBytes);
      return length;
    });
  }

  /** Says again by which datagram a connection was closed. */
  sayAgain(lastWord: Uint8Array, to: RemoteInfo): boolean {
    return this.#reply(to, ({ buffer }) => {
      buffer.set(lastWord);
      return lastWord.length;
    });
  }

  #mayReset(): boolean {
    const nowMs = this.#deps.clock.now();
    const refill = ((nowMs - this.#refilledMs) / 1000) * resetsPerSecond;
    this.#resetsLeft = Math.min(resetsPerSecond, this.#resetsLeft + refill);
    this.#refilledMs = nowMs;
    if (this.#resetsLeft < 1) return false;
    this.#resetsLeft -= 1;
    return true;
  }

  #reply(to: RemoteInfo, write: (slot: SendSlot) => number): boolean {
    const { socket } = this.#deps;
    const slot = socket.takeSlot();
    if (slot === undefined) return false;
    let length = 0;
    try {
      length = write(slot);
    } catch {
      // The binding does not like what the datagram says; nobody is owed an answer.
    }
    if (length === 0) {
      socket.returnSlot(slot);
      return false;
    }
    socket.send(slot, length, { host: to.address, port: to.port });
    return true;
  }
}

/** Stateless resets sent per second, and at once. */
const resetsPerSecond = 200;
const tokenBytes = 16;
/** Least size that passes for a packet (RFC 9000 §10.3). */
const minResetBytes = 21;
/** Such as an acknowledgement might have. */
const maxResetBytes = 43;
