export type { AgentMachine, AgentOptions } from "./agent-options.ts";
export type { BastionMode, BastionOptions } from "./bastion.ts";
export { agentFeatures, agentVersion } from "./features.ts";
export { runAgent } from "./run-agent.ts";
export { systemMachine, type SystemMachineDeps } from "./system-machine.ts";
