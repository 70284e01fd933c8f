import type { Random } from "@culvert/runtime";
import type { GuardedConnection } from "./guarded-connection.ts";
import { ownIdBytes } from "./packet-header.ts";
import type { ResetTokens } from "./reset-tokens.ts";

/** Who hears of the connection ids by which the peer addresses us. */
export interface IdOwner {
  /** The peer may now address us by this connection id too. */
  idAdded(id: Uint8Array): void;
  /** The peer will not use this connection id again. */
  idRetired(id: Uint8Array): void;
}

/** What {@link OwnIds} work with. */
export interface OwnIdsDeps {
  readonly link: GuardedConnection;
  readonly random: Random;
  readonly resetTokens: ResetTokens;
  readonly owner: IdOwner;
}

/** The connection ids by which the peer addresses us (RFC 9000 §5.1): spare ones let it change its address. */
export class OwnIds {
  readonly #deps: OwnIdsDeps;

  constructor(deps: OwnIdsDeps) {
    this.#deps = deps;
  }

  /** Gives the peer its spare ids, once. */
  offerSpares(): void {
    for (let spare = 0; spare < spareIds; spare += 1) this.#offer();
  }

  /** Gives the peer a new id for each that it has given up. */
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

/** Connection ids the peer holds beside the one in use. */
const spareIds = 2;
