export { RelayMetrics, type RelayGauges, type SessionRefusal } from "./metrics.ts";
export {
  relayLimitDefaults,
  type Grant,
  type KnownPeer,
  type PeerRole,
  type RelayLimits,
  type RelayOptions,
} from "./options.ts";
export * from "./public-offers/index.ts";
export { Relay, type RelayDeps } from "./relay.ts";
export type { ConnectionStatus, PeerSessionStatus, PeerStatus, RelayStatus } from "./status.ts";
