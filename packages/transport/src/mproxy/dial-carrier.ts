import type { Identity, PeerId } from "@culvert/identity";
import type { Clock, Random } from "@culvert/runtime";
import type { Session } from "../session.ts";
import type { Carrier } from "./carrier.ts";
import { DiallerProof } from "./identity-proof-exchange.ts";
import { nonceBytes, type ChannelBinding } from "./identity-proof.ts";
import { proveSession } from "./prove-session.ts";
import { sessionTerms, tunnelSettings, type WssSettings } from "./wss-settings.ts";

/** Whom to expect at the other end of a carrier. */
export interface DialCarrierOptions {
  /** Fresh and not started; owned from the call on. */
  readonly carrier: Carrier;
  readonly relayId: PeerId;
  readonly identity: Identity;
  readonly settings: WssSettings;
  /**
   * Whether something that both ends trust may stand between, such as a proxy that ends TLS and whose certificate was verified, or the shell
   * that carries standard input and output: proofs are then bound to a challenge (PROTOCOL.md §12.3).
   */
  readonly trustsBetween: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Proves identities over a carrier that was dialled, and gives the session.
 * @throws as `proveSession`: TransportError `wrong_peer`, `handshake_failed` and its kin, or WireError.
 */
export function dialCarrier(
  { clock, random }: { readonly clock: Clock; readonly random: Random },
  options: DialCarrierOptions,
): Promise<Session> {
  const { carrier, relayId, identity, settings, trustsBetween, signal } = options;
  const exporter = carrier.channelBinding();
  const bindings: ChannelBinding[] = [];
  if (exporter !== undefined) bindings.push({ kind: "exporter", exporter });
  if (trustsBetween) bindings.push({ kind: "challenge" });
  const nonce = random.bytes(nonceBytes);
  const terms = sessionTerms(settings);
  return proveSession({
    clock,
    carrier,
    role: "dialler",
    exchange: new DiallerProof({ identity, relayId, bindings, nonce, terms }),
    settings: tunnelSettings(settings),
    deadline: settings.handshakeTimeout,
    signal,
  });
}
