export { formatHostPort, parseHostPort, type HostPort } from "./address-kinds.ts";
export { loadClientConfig, type ClientConfig, type ProxyConfig } from "./client-config.ts";
export {
  defaultSocket,
  serviceSocket,
  type LogConfig,
  type QuicConfig,
  type Role,
} from "./common-schema.ts";
export { configWarnings } from "./config-warnings.ts";
export { configDefaults } from "./defaults.ts";
export { detectRole } from "./detect-role.ts";
export { variableOf } from "./environment.ts";
export type { ReconnectConfig, RelayTarget } from "./dialing-schema.ts";
export type { ExposeConfig, ExposeTarget, TelebitRelayAddress } from "./expose-kinds.ts";
export { readHttpProxy, type HttpProxyAddress, type ProxyChoice } from "./proxy-kind.ts";
export type { ForwardConfig, ServerTarget, ServiceTarget } from "./forward-kinds.ts";
export type { ClientLinkConfig, Command, LinkConfig } from "./link-kinds.ts";
export { loadConfig, type DaemonConfig } from "./load-config.ts";
export type { Flag, Sources } from "./load.ts";
export type { Problem } from "./problems.ts";
export { describeKeys, type KeyDescription } from "./describe-keys.ts";
export { parseServerTarget } from "./parse-server-target.ts";
export {
  loadRelayConfig,
  type AcmeConfig,
  type RelayConfig,
  type TelebitRelayConfig,
  type WebConfig,
} from "./relay-config.ts";
export type { GrantConfig, PeerConfig } from "./relay-schema.ts";
export type { AllowRule, PortRange } from "./rule-kinds.ts";
export { Secret } from "./secret.ts";
export { loadServerConfig, type ServerConfig, type TelebitDeviceConfig } from "./server-config.ts";
export type { TransportName, WssSettings } from "./transport-schema.ts";
export type { CertificateFiles, PublicNameConfig, PublicPortConfig } from "./web-schema.ts";
export { worstCaseMemory, type MemoryItem, type WorstCaseMemory } from "./worst-case-memory.ts";
