// The door `@culvert/relay/web`: its own, so that a relay without a web side does not load it.
export type { AdmissionLimit } from "./admission.ts";
export type { CertificatePem } from "./certificate-store.ts";
export { PublicMetrics, type PublicGauges, type PublicRefusal } from "./metrics.ts";
export { NameTable, type NamePolicy, type NameRoute, type NameTableLimits } from "./name-table.ts";
export { PortTable, type OpenPort, type OpenPublicPort } from "./port-table.ts";
export type { PublicAddress, PublicConnection, PublicDevice } from "./public-device.ts";
export { PublicEntrance, type PublicEntranceDeps } from "./public-entrance.ts";
export type { ListenerKind } from "./public-router.ts";
export { startRelayWeb, type RelayWeb, type RelayWebDeps } from "./relay-web.ts";
export type { Page, PageHandler, PageRequest, UpgradeHandler } from "./upgrade-handler.ts";
export {
  webLimitDefaults,
  type AcmeOptions,
  type CertificateFiles,
  type WebLimits,
  type WebOptions,
} from "./web-options.ts";
