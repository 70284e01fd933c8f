import { errorText, type ByteStream, type Clock } from "@culvert/runtime";
import type { Log } from "@culvert/telemetry";
import { agentDefaults } from "../agent-defaults.ts";
import { askOverStream } from "./ask-over-stream.ts";
import { codeAnswer, DnsCode } from "./dns-message.ts";

/** What a {@link MeshDnsRelay} needs. */
export interface MeshDnsRelayDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** Connects to the host's DNS through the virtual network. */
  readonly dial: (signal: AbortSignal) => Promise<ByteStream>;
}

/** Hands queries of UDP to the DNS of another host, which is asked by TCP: NoRouter's agents know no UDP. */
export class MeshDnsRelay {
  readonly #deps: MeshDnsRelayDeps;
  #working = 0;

  constructor(deps: MeshDnsRelayDeps) {
    this.#deps = deps;
  }

  /** The other host's answer, or the news that there is none. Never rejects. */
  async answer(query: Uint8Array): Promise<Uint8Array | undefined> {
    if (this.#working >= agentDefaults.maxDnsQueries) {
      return codeAnswer(query, DnsCode.serverFailure);
    }
    this.#working += 1;
    const { clock, log, dial } = this.#deps;
    const limit = agentDefaults.meshQueryTimeout;
    try {
      return await askOverStream(query, dial, { clock, limit, what: "DNS of another host" });
    } catch (error) {
      log.warn("norouter.agent.refused", { what: "dns query", reason: errorText(error) });
      return codeAnswer(query, DnsCode.serverFailure);
    } finally {
      this.#working -= 1;
    }
  }
}
