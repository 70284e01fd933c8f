import { errorText, type ByteStream } from "@culvert/runtime";
import { rateLimited, type Log } from "@culvert/telemetry";
import type { Clock } from "@culvert/runtime";
import { isIpv4, type NorouterRoute } from "@culvert/wire";
import { globMatches } from "../router/hostname-glob.ts";
import { networkHas, parseIpv4, parseNetwork, type Ipv4Network } from "../router/ipv4.ts";
import { isSpecialAddress } from "../router/special-address.ts";
import { agentDefaults } from "./agent-defaults.ts";

/**
 * Which addresses an agent connects to for others:
 *
 * - `routes`: the networks that the manifest routes to it, the addresses that its own DNS gave for names that the manifest routes to it
 *   (but none of the machine's own loopback and link), and the allow list;
 * - `any`: all that the machine can reach, whatever the manifest says, as NoRouter's own agents do;
 * - `off`: the allow list alone.
 */
export type BastionMode = "routes" | "any" | "off";

/** What a `Bastion` lets through. */
export interface BastionOptions {
  readonly mode: BastionMode;
  /** Networks, `192.168.95.0/24`, that are let through in every mode. */
  readonly allow?: readonly string[] | undefined;
}

/** An end of a connection through the bastion. */
interface BastionEnd {
  readonly address: string;
  readonly port: number;
}

/** What a `Bastion` needs. */
export interface BastionDeps {
  readonly log: Log;
  readonly clock: Clock;
  /** The agent's own virtual address. */
  readonly me: string;
  readonly routes: readonly NorouterRoute[];
  /** Joins a connection with one that is dialled by the system; resolves when both are closed. */
  readonly join: (accepted: ByteStream, host: string, port: number) => Promise<void>;
}

/** Connects others to what lies behind this host: decides which, and counts them. */
export class Bastion {
  readonly #deps: BastionDeps;
  readonly #log: Log;
  readonly #mode: BastionMode;
  readonly #networks: readonly Ipv4Network[];
  readonly #globs: readonly string[];
  /** Addresses our DNS gave for names routed to us, the oldest first. */
  readonly #answered = new Set<number>();
  #open = 0;

  constructor(deps: BastionDeps, { mode, allow = [] }: BastionOptions) {
    this.#deps = deps;
    this.#log = rateLimited(deps.log, deps.clock, agentDefaults.warningRate);
    this.#mode = mode;
    const own = mode === "routes" ? deps.routes.filter(({ via }) => via === deps.me) : [];
    const texts = [...own.flatMap(({ toCidr }) => toCidr), ...allow];
    // A network that is none is told by whoever must refuse it; here it lets nothing through.
    this.#networks = texts.flatMap((text) => parseNetwork(text) ?? []);
    this.#globs = own.flatMap(({ toHostnameGlob }) => toHostnameGlob);
  }

  /** Remembers what our own DNS answered, where the name is one that is routed to us. */
  learn(name: string, ips: readonly string[]): void {
    if (!this.#globs.some((glob) => globMatches(glob, name))) return;
    for (const ip of ips) {
      const address = parseIpv4(ip);
      // Whoever owns the name would open what listens on this machine for itself.
      if (address === undefined || isSpecialAddress(address)) continue;
      this.#answered.delete(address);
      this.#answered.add(address);
    }
    for (const oldest of this.#answered) {
      if (this.#answered.size <= agentDefaults.maxAnsweredAddresses) return;
      this.#answered.delete(oldest);
    }
  }

  /** What becomes of a connection that somebody opens to an address which is not ours, or to a port of ours that nobody listens on. */
  claim(local: BastionEnd, remote: BastionEnd): "reset" | ((accepted: ByteStream) => void) {
    const { me, join } = this.#deps;
    if (local.address === me) return "reset";
    const target = `${local.address}:${local.port}`;
    if (!this.#isAllowed(local.address)) {
      this.#refuse(remote, target, `not allowed (bastion mode ${this.#mode})`);
      return "reset";
    }
    if (this.#open >= agentDefaults.maxConnections) {
      this.#refuse(remote, target, `${this.#open} connections are open (maxConnections)`);
      return "reset";
    }
    return (accepted) => {
      this.#open += 1;
      join(accepted, local.address, local.port)
        .catch((error: unknown) => this.#refuse(remote, target, errorText(error)))
        .finally(() => (this.#open -= 1));
    };
  }

  #isAllowed(ip: string): boolean {
    if (this.#mode === "any") return isIpv4(ip);
    const address = parseIpv4(ip);
    if (address === undefined) return false;
    return this.#answered.has(address) || this.#networks.some((one) => networkHas(one, address));
  }

  #refuse(remote: BastionEnd, target: string, reason: string): void {
    this.#log.warn("norouter.agent.connection.refused", {
      listener: "bastion",
      peer: remote.address,
      target,
      reason,
    });
  }
}
