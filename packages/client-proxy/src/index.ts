export { ClientProxy, type ClientProxyDeps, type ClientProxyOptions } from "./client-proxy.ts";
export * from "./entrances/index.ts";
export { ClientMetrics } from "./metrics.ts";
export type { ClientConnectionStatus, ClientStatus } from "./status.ts";
