import { createHash } from "node:crypto";
import type { Random } from "@culvert/runtime";
import type { TcpSecrets, TcpTuple } from "../tcp/tcp-host.ts";

/**
 * Chooses the initial numbers of connections. The timestamps of one pair of endpoints go on where those of their last connection were
 * (RFC 7323 §7.1), so that a peer that still remembers that one in TIME-WAIT takes the next at once (RFC 6191); to whom does not know
 * the key they say nothing.
 */
export class ConnectionSecrets {
  readonly #key: Uint8Array;

  constructor(random: Random) {
    this.#key = random.bytes(keyBytes);
  }

  /**
   * The numbers of the next connection of these endpoints. The sequence goes on with the time, by 250 in a millisecond (RFC 6528 §3):
   * a peer that remembers the last one and has no timestamps to compare takes only a greater one (RFC 9293 §3.10.7.4).
   */
  next(tuple: TcpTuple, nowMs: number): TcpSecrets {
    const ends = new Uint32Array([
      tuple.localAddress,
      tuple.remoteAddress,
      tuple.localPort * 0x1_00_00 + tuple.remotePort,
    ]);
    const digest = createHash("sha256")
      .update(this.#key)
      .update(new Uint8Array(ends.buffer))
      .digest();
    return {
      initialSequence: (digest.readUInt32BE(4) + Math.floor(nowMs * 250)) >>> 0,
      timestampOffset: digest.readUInt32BE(0),
    };
  }
}

const keyBytes = 32;
