import { millis, type Clock, type Millis } from "@culvert/runtime";
import { connectionKey, type ConnectionId } from "@culvert/wire";
import type { PublicAddress } from "../web/public-device.ts";

/**
 * Names the connections of one device by their clients' addresses, as Telebit has it. One client may have several connections at a
 * time from one port (requests that the relay forwards, or two of the relay's ports), and may use a port again while the device
 * still has something to say about the last time. Then another port number of the same address is taken in its place.
 */
export class ClientIds {
  readonly #clock: Pick<Clock, "now">;
  /** When an id was given back; Infinity while it is in use. In the order of use. */
  readonly #used = new Map<string, number>();

  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
  }

  /** An id that no frame on its way can mean; undefined where all the address has are in use. */
  take({ family, address, port }: PublicAddress): ConnectionId | undefined {
    for (let tried = 0; tried < maxTries; tried += 1) {
      const number = ((port + ports - 1 + tried * stride) % ports) + 1;
      const id = { family, address, port: String(tried === 0 ? port : number) };
      const key = connectionKey(id);
      if (this.#clock.now() < (this.#used.get(key) ?? -Infinity) + rest) continue;
      this.#used.delete(key);
      this.#used.set(key, Infinity);
      return id;
    }
    return undefined;
  }

  /** Gives an id back when its connection is over. */
  release(id: ConnectionId): void {
    const key = connectionKey(id);
    this.#used.delete(key);
    this.#used.set(key, this.#clock.now());
    if (this.#used.size <= maxRemembered) return;
    for (const [oldest, at] of this.#used) {
      if (at === Infinity) continue;
      this.#used.delete(oldest);
      return;
    }
  }
}

/** How long an id is not used again: longer than a connection's last frames are on their way, also where a device is slow to end. */
const rest: Millis = millis(60_000);
const ports = 65_535;
/** Coprime to the number of ports, and far from the client's next ones. */
const stride = 20_011;
const maxTries = 256;
/** Ids that are remembered, as long as they are not in use. */
const maxRemembered = 8_192;
