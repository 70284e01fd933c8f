import { createHash } from "node:crypto";
import type { Random } from "@culvert/runtime";
import type { TcpSecrets, TcpTuple } from "../tcp/tcp-host.ts";

/**
 * Chooses the initial numbers of connections. The timestamps of one pair of endpoints go on where those of their last connection were
 * (RFC 7323 §7.1), so that a peer that still remembers that one in TIME-WAIT takes the next at once (RFC 6191); to whom does not know
 * the key they say nothing.
 */
export class ConnectionSecrets {
  readonly #random: Random;
  readonly #key: Uint8Array;

  constructor(random: Random) {
    this.#random = random;
    this.#key = random.bytes(keyBytes);
  }

  /** The numbers of the next connection of these endpoints. */
  next(tuple: TcpTuple): TcpSecrets {
    const ends = new Uint32Array([
      tuple.localAddress,
      tuple.remoteAddress,
      tuple.localPort * 0x1_00_00 + tuple.remotePort,
    ]);
    const digest = createHash("sha256")
      .update(this.#key)
      .update(new Uint8Array(ends.buffer))
      .digest();
    const bytes = this.#random.bytes(4);
    return {
      initialSequence: new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0),
      timestampOffset: digest.readUInt32BE(0),
    };
  }
}

const keyBytes = 32;
