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
export {
  NameTable,
  type NamePolicy,
  type NameRoute,
  type NameTableLimits,
} from "./web/name-table.ts";
export { PortTable, type OpenPort, type OpenPublicPort } from "./web/port-table.ts";
export type { PublicAddress, PublicConnection, PublicDevice } from "./web/public-device.ts";
export type { Page, PageHandler, PageRequest, UpgradeHandler } from "./web/upgrade-handler.ts";
export { mintPeerToken, mintToken, type TokenRequest } from "./telebit/mint-token.ts";
export { createSecretFile, loadSecretFile } from "./telebit/secret-file.ts";
export {
  readScope,
  type PortRange,
  type ScopeVerdict,
  type TelebitFault,
  type TelebitFaultCode,
  type TelebitPolicy,
  type TelebitScope,
} from "./telebit/telebit-scope.ts";
export { TokenVerifier, type TokenTrust, type TokenVerdict } from "./telebit/token-verifier.ts";
