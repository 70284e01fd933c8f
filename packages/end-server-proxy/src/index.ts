export * from "./exits/index.ts";
export * from "./public/index.ts";
export * from "./telebit/index.ts";
export { ConnectionLedger, type LedgerDeps, type LiveConnection } from "./connection-ledger.ts";
export { EndServerProxy, type EndServerDeps } from "./end-server-proxy.ts";
export { EndServerMetrics } from "./metrics.ts";
export { endServerDefaults, type EndServerOptions } from "./options.ts";
export type { EndServerConnectionStatus, EndServerStatus } from "./status.ts";
