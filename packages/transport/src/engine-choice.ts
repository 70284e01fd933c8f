import { BlockList, isIPv6 } from "node:net";
import { ConfigError } from "@culvert/runtime";
import { largestDatagramBytes, type EngineName } from "@culvert/quic";

/** What the configuration says of engines (`quic.engine`, `quic.datagramBytes`, `quic.allowQuicheListener`). */
export interface EnginePolicy {
  readonly engine: "auto" | "quiche" | "quinn";
  /** Largest UDP payload of the quiche engine; undefined = 16,383 on loopback and 1,350 elsewhere. */
  readonly datagramBytes: number | undefined;
  readonly allowQuicheListener: boolean;
}

/** The engine for one address, and the datagram size it uses there. */
export interface EngineChoice {
  readonly engine: Exclude<EngineName, "memory">;
  readonly datagramBytes: number;
}

/**
 * Chooses the engine to dial an address with: on loopback quiche with large datagrams, elsewhere quinn where its addon loads.
 */
export function chooseDialEngine(
  policy: EnginePolicy,
  host: string,
  quinnAvailable: () => boolean,
): EngineChoice {
  const local = isLoopback(host);
  const engine =
    policy.engine !== "auto" ? policy.engine : local || !quinnAvailable() ? "quiche" : "quinn";
  const datagramBytes =
    policy.datagramBytes ?? (local ? largestDatagramBytes : internetDatagramBytes);
  return { engine, datagramBytes };
}

/**
 * Chooses the engine to listen with. quiche 0.18 has published faults that any peer past its handshake can trigger, so off
 * loopback it serves only where the configuration accepts that.
 * @throws ConfigError `refused_engine` saying which setting or package mends it.
 */
export function chooseListenEngine(
  policy: EnginePolicy,
  host: string,
  quinnAvailable: () => boolean,
): EngineChoice {
  const choice = chooseDialEngine(policy, host, quinnAvailable);
  if (choice.engine === "quiche" && !isLoopback(host) && !policy.allowQuicheListener) {
    throw new ConfigError(
      "refused_engine",
      policy.engine === "quiche"
        ? `quic.engine is quiche, and a quiche listener on ${host} can be frozen by any enrolled peer; set quic.engine to quinn or auto, or set quic.allowQuicheListener: true to accept that`
        : `the quinn engine has no addon for this platform, and a quiche listener on ${host} can be frozen by any enrolled peer; set quic.allowQuicheListener: true to accept that`,
      { data: { host, engine: choice.engine } },
    );
  }
  return choice;
}

/** Whether an IP literal is a loopback address; the unspecified address is not. */
export function isLoopback(host: string): boolean {
  return loopback.check(host, isIPv6(host) ? "ipv6" : "ipv4");
}

/** Fits an Ethernet path with a tunnel in between. */
const internetDatagramBytes = 1350;

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");
