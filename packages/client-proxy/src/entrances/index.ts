export { ConnectRefused, type RefusedBy } from "./connect-refused.ts";
export { entranceDefaults } from "./entrance-defaults.ts";
export type {
  ConnectRequest,
  Connector,
  Entrance,
  EntranceKind,
  EntranceStatus,
  ForwardedConnection,
} from "./entrance.ts";
export { PortMapping, type PortMappingDeps, type PortMappingOptions } from "./port-mapping.ts";
