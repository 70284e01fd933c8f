export { watchForCrashes, type CrashWatch } from "./crash-watch.ts";
export { echoStreams } from "./engine/echo.ts";
export { engineCompliance } from "./engine/engine-compliance.ts";
export { complianceSettings } from "./engine/engine-harness.ts";
export type { EngineComplianceOptions, EngineLack, EnginePair } from "./engine/engine-pair.ts";
export {
  spawnEnginePeer,
  type EnginePeer,
  type EnginePeerOptions,
  type EnginePeerRole,
} from "./engine/engine-peer.ts";
export { spawnMemoryPeer } from "./engine/memory-peer.ts";
export { streamOutcome, type StreamOutcome } from "./engine/stream-outcome.ts";
export { drained, readBytes, readPayload, writePayload, type PayloadDigest } from "./payload.ts";
export { seededRandom } from "./seeded-random.ts";
export { VirtualClock } from "./virtual-clock.ts";
export { waitUntil, within, type WaitOptions } from "./wait-until.ts";
