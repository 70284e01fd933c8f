import type { Random } from "@culvert/runtime";
import type { GuardedConnection } from "./guarded-connection.ts";
import { ownIdBytes } from "./packet-header.ts";
import type { ResetTokens } from "./reset-tokens.ts";

/** Who finds a connection by its ids. */
export interface IdOwner {
  /** The peer may now address us by this connection id too. */
  idAdded(id: Uint8Array): void;
  /** The peer will not use this connection id again. */
  idRetired(id: Uint8Array): void;
}

/** What {@link SpareIds} need. */
export interface SpareIdsDeps {
  readonly link: GuardedConnection;
  readonly random: Random;
  readonly resetTokens: ResetTokens;
  readonly owner: IdOwner;
}

/** Sees to it that the peer holds connection ids beside the one in use, so that it can change its address (RFC 9000 §5.1.1, §9.5). */
export class SpareIds {
  readonly #deps: SpareIdsDeps;

  constructor(deps: SpareIdsDeps) {
    this.#deps = deps;
  }

  /** The handshake is done: offers the first ones. */
  offerFirst(): void {
    for (let spare = 0; spare < spareIds; spare += 1) this.#offer();
  }

  /** Offers another one for each that the peer has given up. */
  replaceRetired(): void {
    const { link, owner } = this.#deps;
    for (;;) {
      const id = link.nextRetiredId();
      if (id === null) return;
      owner.idRetired(id);
      this.#offer();
    }
  }

  #offer(): void {
    const { link, owner, random, resetTokens } = this.#deps;
    const id = random.bytes(ownIdBytes);
    if (link.offerId(id, resetTokens.numberFor(id))) owner.idAdded(id);
  }
}

const spareIds = 2;
