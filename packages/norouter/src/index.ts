export {
  agentFeatures,
  agentVersion,
  runAgent,
  systemMachine,
  type AgentMachine,
  type AgentOptions,
  type BastionMode,
  type BastionOptions,
  type SystemMachineDeps,
} from "./agent/index.ts";
export { canonicalName, globMatches } from "./router/hostname-glob.ts";
export {
  formatIpv4,
  formatNetwork,
  networkHas,
  parseIpv4,
  parseNetwork,
  type Ipv4Network,
} from "./router/ipv4.ts";
export { Router, type RouterOptions } from "./router/router.ts";
export {
  egressDefaults,
  FrameWriter,
  type EgressLimits,
  type EgressStats,
} from "./egress/frame-writer.ts";
export { configureArgsOf } from "./manifest/configure-args.ts";
export { exampleManifest } from "./manifest/example.ts";
export { type Manifest, type ManifestHost } from "./manifest/manifest.ts";
export { formatProblem, type ManifestProblem } from "./manifest/manifest-problem.ts";
export { parseManifest, type ParsedManifest } from "./manifest/parse-manifest.ts";
export type { AgentState, AgentStatus } from "./manager/agent-state.ts";
export type { SupervisionOptions } from "./manager/agent-supervisor.ts";
export {
  Manager,
  type ManagerDeps,
  type ManagerOptions,
  type ManagerStatus,
  type ReloadSummary,
} from "./manager/manager.ts";
