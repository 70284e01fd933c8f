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
export { PublicEntrance, type PublicEntranceDeps } from "./web/public-entrance.ts";
export { PublicMetrics, type PublicGauges, type PublicRefusal } from "./web/metrics.ts";
export type { AdmissionLimit } from "./web/admission.ts";
export type { CertificatePem } from "./web/certificate-store.ts";
export type { ListenerKind } from "./web/public-router.ts";
export {
  webLimitDefaults,
  type AcmeOptions,
  type CertificateFiles,
  type WebLimits,
  type WebOptions,
} from "./web/web-options.ts";
export type { PublicAddress, PublicConnection, PublicDevice } from "./web/public-device.ts";
export type { Page, PageHandler, PageRequest, UpgradeHandler } from "./web/upgrade-handler.ts";
export { mintPeerToken, mintToken, type TokenRequest } from "./telebit/mint-token.ts";
export { TelebitMetrics, type DeviceRefusal, type TelebitGauges } from "./telebit/metrics.ts";
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
export type { ControlLimits } from "./telebit/control-channel.ts";
export {
  telebitLimitDefaults,
  type TelebitLimits,
  type TelebitOptions,
} from "./telebit/telebit-options.ts";
export { TelebitRelay, type TelebitRelayDeps } from "./telebit/telebit-relay.ts";
export type { TelebitDeviceStatus } from "./telebit/telebit-session.ts";
export { startRelayWeb, type RelayWeb, type RelayWebDeps } from "./web/relay-web.ts";
