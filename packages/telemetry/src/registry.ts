import { collectDefaultMetrics, Registry } from "prom-client";

/**
 * Makes the registry of a process, with its CPU, memory, open files and garbage collection (`process_…`, `nodejs_…`) and the lag of
 * its event loop (`nodejs_eventloop_lag_seconds` and its percentiles). One per process: the observers live as long as it does.
 */
export function createRegistry(): Registry {
  const registry = new Registry();
  // 50 ms shows every lag worth knowing and costs an idle daemon a tenth of what 5 ms would.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 50 });
  return registry;
}
