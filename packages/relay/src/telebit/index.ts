// The door `@culvert/relay/telebit`: its own, so that a relay without Telebit devices does not load it.
export type { ControlLimits } from "./control-channel.ts";
export { TelebitMetrics, type DeviceRefusal, type TelebitGauges } from "./metrics.ts";
export { mintPeerToken, mintToken, type TokenRequest } from "./mint-token.ts";
export { createSecretFile, loadSecretFile } from "./secret-file.ts";
export {
  telebitLimitDefaults,
  type TelebitLimits,
  type TelebitOptions,
} from "./telebit-options.ts";
export { TelebitRelay, type TelebitRelayDeps } from "./telebit-relay.ts";
export {
  readScope,
  type PortRange,
  type ScopeVerdict,
  type TelebitFault,
  type TelebitFaultCode,
  type TelebitPolicy,
  type TelebitScope,
} from "./telebit-scope.ts";
export type { TelebitDeviceStatus } from "./telebit-session.ts";
export { TokenVerifier, type TokenTrust, type TokenVerdict } from "./token-verifier.ts";
