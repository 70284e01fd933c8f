export type {
  DatagramDropReason,
  DialOptions,
  EngineDeps,
  EngineName,
  EngineWarning,
  ListenOptions,
  PeerReset,
  QuicConnection,
  QuicConnectionStats,
  QuicEngine,
  QuicListener,
  QuicListenerStats,
  QuicStream,
  UdpAddress,
} from "./engine.ts";
export { largestDatagramBytes, quicDefaults, type QuicSettings } from "./settings.ts";
export { sessionBounds, type SessionBounds } from "./session-bounds.ts";
export {
  createMemoryNetwork,
  type MemoryNetwork,
  type MemoryNetworkOptions,
  type MemoryQuicEngine,
} from "./memory/memory-network.ts";
export { quinnAvailable } from "./quinn/addon.ts";
export { createQuinnEngine } from "./quinn/quinn-engine.ts";
export { createQuicheEngine } from "./quiche/quiche-engine.ts";
