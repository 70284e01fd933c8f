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
export {
  HttpConnectEntrance,
  type HttpConnectEntranceDeps,
  type HttpConnectEntranceOptions,
} from "./http-connect-entrance.ts";
export { PortMapping, type PortMappingDeps, type PortMappingOptions } from "./port-mapping.ts";
export type { Password } from "./proxy-users.ts";
export {
  Socks5Entrance,
  type Socks5EntranceDeps,
  type Socks5EntranceOptions,
} from "./socks5-entrance.ts";
export { standardStreams, StdioStream } from "./stdio-stream.ts";
export { runStdio, type StdioOptions } from "./stdio.ts";
