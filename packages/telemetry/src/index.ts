export { createLog, type LogFormat, type LogOptions } from "./create-log.ts";
export { describeError, type ErrorDescription } from "./describe-error.ts";
export { logLevels, silentLog, type Log, type LogFields, type LogLevel } from "./log.ts";
export type { LogEvent } from "./log-events.ts";
export { rateLimited, type RateLimit } from "./rate-limited-log.ts";
export { createRegistry } from "./registry.ts";
export { Counter, Gauge, Histogram, Registry } from "prom-client";
