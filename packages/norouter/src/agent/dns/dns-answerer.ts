import type { Log } from "@culvert/telemetry";
import { errorText } from "@culvert/runtime";
import { isIpv4 } from "@culvert/wire";
import { canonicalName } from "../../router/hostname-glob.ts";
import { agentDefaults } from "../agent-defaults.ts";
import { addressesOf, codeAnswer, decodeDns, DnsCode, encodeAddressAnswer } from "./dns-message.ts";

/** What a {@link DnsAnswerer} needs. */
export interface DnsAnswererDeps {
  readonly log: Log;
  /** Asks the servers of the system, byte for byte. */
  readonly askUpstream: (query: Uint8Array) => Promise<Uint8Array>;
  /** Told of the addresses that a name was answered with from upstream. */
  readonly onAnswered?: ((name: string, ips: readonly string[]) => void) | undefined;
}

/**
 * The built-in DNS of an agent, whatever carries its messages: it knows the hosts of the virtual network, and hands on everything else.
 * A host that is asked for anything but its IPv4 address has none of it, which is not to say that there is no such host (RFC 4074 §4.2).
 */
export class DnsAnswerer {
  readonly #deps: DnsAnswererDeps;
  readonly #names: ReadonlyMap<string, string>;
  #working = 0;

  /** @param hostnameMap - names of hosts in any case, with their virtual addresses. */
  constructor(deps: DnsAnswererDeps, hostnameMap: ReadonlyMap<string, string>) {
    this.#deps = deps;
    this.#names = new Map([...hostnameMap].map(([name, ip]) => [canonicalName(name), ip]));
  }

  /** Answers a query, which it may keep; undefined where there is nothing to say to it. Never rejects. */
  async answer(query: Uint8Array): Promise<Uint8Array | undefined> {
    // To answer an answer would be to answer for ever.
    if (((query[2] ?? 0) & responseBit) !== 0) return undefined;
    if (this.#working >= agentDefaults.maxDnsQueries)
      return this.#refuse(query, "too many queries");
    this.#working += 1;
    try {
      return this.#known(query) ?? (await this.#ask(query));
    } catch (error) {
      return this.#refuse(query, errorText(error));
    } finally {
      this.#working -= 1;
    }
  }

  #known(bytes: Uint8Array): Uint8Array | undefined {
    const query = decodeDns(bytes);
    const [question, ...others] = query.questions ?? [];
    if (question === undefined || others.length > 0 || opcodeOf(query.flags) !== 0) {
      return undefined;
    }
    const ip = this.#names.get(canonicalName(question.name));
    if (ip === undefined || (question.class ?? "IN") !== "IN") return undefined;
    return encodeAddressAnswer(query, question.type === "A" && isIpv4(ip) ? [ip] : []);
  }

  async #ask(query: Uint8Array): Promise<Uint8Array> {
    const answer = await this.#deps.askUpstream(query);
    if (this.#deps.onAnswered !== undefined) {
      const { name, ips } = addressesIn(answer);
      if (ips.length > 0) this.#deps.onAnswered(name, ips);
    }
    return answer;
  }

  #refuse(query: Uint8Array, reason: string): Uint8Array | undefined {
    this.#deps.log.warn("norouter.agent.refused", { what: "dns query", reason });
    return codeAnswer(query, DnsCode.serverFailure);
  }
}

/** What we cannot read the one who asked may. */
function addressesIn(answer: Uint8Array): {
  readonly name: string;
  readonly ips: readonly string[];
} {
  try {
    const decoded = decodeDns(answer);
    return { name: decoded.questions?.[0]?.name ?? "", ips: addressesOf(decoded) };
  } catch {
    return { name: "", ips: [] };
  }
}

function opcodeOf(flags = 0): number {
  return (flags >> 11) & 0xf;
}

const responseBit = 0x80;
