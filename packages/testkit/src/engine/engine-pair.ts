import type { Identity, PeerId } from "@culvert/identity";
import type { QuicEngine, QuicSettings } from "@culvert/quic";
import type { EnginePeer, EnginePeerOptions } from "./engine-peer.ts";

/** What a compliance run is about: the engine that listens and the one that dials. They may be the same. */
export interface EnginePair {
  readonly server: QuicEngine;
  readonly client: QuicEngine;
  readonly serverIdentity: Identity;
  readonly clientIdentity: Identity;
  /** A valid peer id that nobody at either end has. */
  readonly stranger: PeerId;
  /** Starts a peer that can be killed; without it, a child process runs the engine of the same name. */
  readonly spawnPeer?: (options: EnginePeerOptions) => Promise<EnginePeer>;
}

/**
 * What an engine cannot do. `reset_codes`: codes of resets arrive as 0; `close_reasons`: code and text of a close do not arrive;
 * `close_blame`: a close by the peer cannot be told from other ends.
 */
export type EngineLack = "reset_codes" | "close_reasons" | "close_blame";

/** How to run the engine compliance suite. */
export interface EngineComplianceOptions {
  /** Title of the suite: `quiche`, `quiche -> quinn`. */
  readonly name: string;
  setup(): Promise<EnginePair> | EnginePair;
  /** What the pair cannot do; the cases then test what remains, and their titles say so. */
  readonly lacks?: readonly EngineLack[];
  /** Changes to the settings of every case, such as `datagramBytes`. */
  readonly settings?: Partial<QuicSettings>;
  /** Bytes that a blocked writer may have had accepted beyond the window: buffers of stream and engine. 512 KiB by default. */
  readonly writerSlackBytes?: number;
  /** Size of the largest transfer; 64 MiB by default. */
  readonly largeBytes?: number;
  /** Where set, nothing runs, and the title gives this reason. */
  readonly skip?: string | undefined;
}
