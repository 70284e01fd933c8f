export { watchForCrashes, type CrashWatch } from "./crash-watch.ts";
export { duplexPair } from "./duplex-pair.ts";
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
export { FaultStream, type Faults } from "./fault-stream.ts";
export { EagerWriter } from "./link/eager-writer.ts";
export { Link, otherSide, type LinkEnd, type Side, type StreamPair } from "./link/link.ts";
export { streamOutcome, type StreamOutcome } from "./link/stream-outcome.ts";
export {
  PacketLink,
  type PacketLinkCounters,
  type PacketLinkEnd,
  type PacketLinkOptions,
} from "./packet-link.ts";
export { drained, readBytes, readPayload, writePayload, type PayloadDigest } from "./payload.ts";
export { seededRandom } from "./seeded-random.ts";
export {
  sessionCompliance,
  type SessionComplianceOptions,
  type SessionPair,
} from "./session/session-compliance.ts";
export { VirtualClock } from "./virtual-clock.ts";
export { waitUntil, within, type WaitOptions } from "./wait-until.ts";
export {
  memoryCarrierPair,
  type MemoryCarrier,
  type MemoryCarrierOptions,
} from "./mproxy/memory-carrier.ts";
