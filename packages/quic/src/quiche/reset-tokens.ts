import { createHmac, hkdfSync } from "node:crypto";
import type { Identity } from "@culvert/identity";

/**
 * Stateless reset tokens (RFC 9000 §10.3) that follow from our key alone. After a restart, a daemon so tells peers of connections
 * it has forgotten that they are over, and need not leave them to their idle time-out.
 */
export class ResetTokens {
  readonly #key: Uint8Array;

  constructor(identity: Identity) {
    const secret = identity.privateKey.export({ format: "der", type: "pkcs8" });
    this.#key = new Uint8Array(hkdfSync("sha256", secret, "", "culvert quic stateless reset", 32));
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
