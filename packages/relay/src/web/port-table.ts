import { LimitError, TransportError } from "@culvert/runtime";
import { formatHostPort, type HostPort } from "@culvert/transport";
import type { PublicDevice } from "./public-device.ts";

/** A public port, open for one device. */
export interface OpenPort {
  /** The port that is bound; differs from what was asked for where that was 0. */
  readonly port: number;
  /** Stops listening and lets the open connections go on. */
  close(): Promise<void>;
}

/** Binds a public port for a device. */
export type OpenPublicPort = (address: HostPort, device: PublicDevice) => Promise<OpenPort>;

/** Which device has which public port: each belongs to one device at a time. */
export class PortTable {
  readonly #claims = new Set<Claim>();
  readonly #bind: OpenPublicPort;
  readonly #limit: number;

  /** `limit` is the most ports of one device. */
  constructor(bind: OpenPublicPort, limit: number) {
    this.#bind = bind;
    this.#limit = limit;
  }

  /**
   * Opens a port for a device alone; service `tcp`, no name, reaches it. Port 0 lets the system choose.
   * @throws TransportError `address_in_use` where another device has it, and whatever binding meets; LimitError
   * `too_many_connections` above the limit of one device.
   */
  async open(address: HostPort, device: PublicDevice): Promise<OpenPort> {
    const { host, port } = address;
    const held = [...this.#claims];
    const holder = held.find((claim) => claim.host === host && claim.port === port && port !== 0);
    if (holder !== undefined) {
      const text = `${formatHostPort(address)} belongs to ${holder.device.name}`;
      throw new TransportError("address_in_use", text);
    }
    if (held.filter((claim) => claim.device === device).length >= this.#limit) {
      throw new LimitError(
        "too_many_connections",
        `${device.name} has ${this.#limit} ports already`,
        {
          data: { limit: "portsPerDevice", max: this.#limit },
        },
      );
    }
    // Claimed before the wait, so that two who ask at once cannot both have it.
    const claim: Claim = { host, port, device };
    this.#claims.add(claim);
    try {
      const open = await this.#bind(address, device);
      claim.port = open.port;
      return {
        port: open.port,
        close: async () => {
          await open.close();
          this.#claims.delete(claim);
        },
      };
    } catch (error) {
      this.#claims.delete(claim);
      throw error;
    }
  }

  /** Who has which port, for status. */
  *list(): Iterable<HostPort & { readonly device: PublicDevice }> {
    yield* this.#claims;
  }
}

interface Claim {
  readonly host: string;
  port: number;
  readonly device: PublicDevice;
}
