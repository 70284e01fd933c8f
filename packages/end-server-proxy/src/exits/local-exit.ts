import { lookup as systemLookup } from "node:dns/promises";
import { millis, withDeadline, type ByteStream, type Clock, type Millis } from "@culvert/runtime";
import { quoteText, Status } from "@culvert/wire";
import type { AllowList } from "./allow-list.ts";
import { dialTcp } from "./dial-tcp.ts";
import { dialUnix } from "./dial-unix.ts";
import { dialError } from "./dial.ts";
import { ExitError, type Exit } from "./exit.ts";

/** What a {@link LocalExit} works with. */
export interface LocalExitDeps {
  readonly clock: Clock;
  /** All addresses of a host name; default: the system's resolver. */
  readonly lookup?: ((host: string) => Promise<readonly string[]>) | undefined;
}

/** What a {@link LocalExit} may open, and how long that may take. */
export interface LocalExitOptions {
  readonly allowList: AllowList;
  /** For the look-up of a name and the connection together. */
  readonly connectTimeout: Millis;
}

/** Opens what the allow list permits in the network of this machine: TCP and Unix sockets. */
export class LocalExit implements Exit {
  readonly #clock: Clock;
  readonly #lookup: (host: string) => Promise<readonly string[]>;
  readonly #options: LocalExitOptions;

  constructor(deps: LocalExitDeps, options: LocalExitOptions) {
    this.#clock = deps.clock;
    this.#lookup = deps.lookup ?? lookupAll;
    this.#options = options;
  }

  async connect(target: string, signal: AbortSignal): Promise<ByteStream> {
    const { allowList, connectTimeout: timeout } = this.#options;
    const limits = { clock: this.#clock, timeout, signal };
    const found = allowList.resolve(target);
    switch (found.kind) {
      case "refused":
        throw new ExitError(found.status, found.text);
      case "unix":
        return dialUnix({ ...limits, path: found.path });
      case "name":
        return dialTcp({ ...limits, host: found.host, port: found.port });
      case "addresses": {
        const host = found.addresses.length === 1 ? (found.addresses[0] ?? "") : "localhost";
        return dialTcp({ ...limits, host, port: found.port, addresses: found.addresses });
      }
      case "lookup": {
        const { host, port } = found;
        const endsAt = this.#clock.now() + timeout;
        const addresses = await this.#permittedAddresses(host, port, signal);
        // One limit for both, so that our answer comes before the relay gives up on us (PROTOCOL.md §8).
        const left = millis(Math.max(1, endsAt - this.#clock.now()));
        return dialTcp({ ...limits, timeout: left, host, port, addresses });
      }
    }
  }

  describe(): readonly string[] {
    return this.#options.allowList.describe();
  }

  /** The addresses that are checked are the ones that are dialled, so that a second answer of the resolver changes nothing. */
  async #permittedAddresses(
    host: string,
    port: number,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const { allowList, connectTimeout: limit } = this.#options;
    let found: readonly string[];
    try {
      found = await withDeadline(
        { clock: this.#clock, limit, what: `looking up ${host}`, signal },
        () => this.#lookup(host),
      );
    } catch (error) {
      throw dialError(host, error);
    }
    const permitted = found.filter((address) => allowList.permitsAddress(address, port));
    if (permitted.length > 0) return permitted;
    throw new ExitError(
      Status.permission_denied_by_server,
      `${quoteText(`${host}:${port}`)} is not on the allow list`,
    );
  }
}

async function lookupAll(host: string): Promise<readonly string[]> {
  const found = await systemLookup(host, { all: true, order: "verbatim" });
  return found.map(({ address }) => address);
}
