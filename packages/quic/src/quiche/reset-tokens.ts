import { createHmac, hkdfSync } from "node:crypto";
import type { Identity } from "@culvert/identity";
import type { UdpAddress } from "../engine.ts";

/**
 * Stateless reset tokens (RFC 9000 §10.3) that follow from our key and the bound address alone. After a restart, a daemon so tells
 * peers of connections it has forgotten that they are over, and need not leave them to their idle time-out.
 *
 * Each address has tokens of its own: else a listener could be made to tell the token of a connection that another listener of the
 * same key has (RFC 9000 §21.11).
 */
export class ResetTokens {
  readonly #key: Uint8Array;

  constructor(identity: Identity, bound: UdpAddress) {
    const secret = identity.privateKey.export({ format: "der", type: "pkcs8" });
    const purpose = `culvert quic stateless reset ${bound.host} ${bound.port}`;
    this.#key = new Uint8Array(hkdfSync("sha256", secret, "", purpose, 32));
  }

  /** The 16 bytes that end a stateless reset for this connection id. */
  bytesFor(connectionId: Uint8Array): Buffer {
    return createHmac("sha256", this.#key).update(connectionId).digest().subarray(0, 16);
  }

  /** The same as a number, which is how quiche takes it. */
  numberFor(connectionId: Uint8Array): bigint {
    return BigInt(`0x${this.bytesFor(connectionId).toString("hex")}`);
  }
}
