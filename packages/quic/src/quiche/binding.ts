import { errorText, TransportError } from "@culvert/runtime";
import type {
  ConfigConstructor,
  Connection,
  ConnectionConstructor,
  PathEvent,
} from "@matrixai/quic/native/types.js";

/** The part of the native quiche binding that Culvert uses. */
export interface QuicheBinding {
  readonly Config: ConfigConstructor;
  readonly Connection: ConnectionConstructor;
  negotiateVersion(scid: Uint8Array, dcid: Uint8Array, out: Uint8Array): number;
  retry(
    scid: Uint8Array,
    dcid: Uint8Array,
    newScid: Uint8Array,
    token: Uint8Array,
    version: number,
    out: Uint8Array,
  ): number;
}

/** A quiche connection as the binding gives it: any call may throw. See {@link GuardedConnection}. */
export interface NativeConnection extends Omit<Connection, "streamShutdown" | "pathEventNext"> {
  /** Direction 0 is reading, 1 is writing. */
  streamShutdown(streamId: number, direction: number, code: number): unknown;
  pathEventNext(): PathEvent | null;
}

/**
 * Loads the native binding.
 * @throws TransportError `engine_missing` where there is none for this platform.
 */
export async function loadQuicheBinding(): Promise<QuicheBinding> {
  try {
    const loaded = await import("@matrixai/quic/native/quiche.js");
    return loaded.default;
  } catch (error) {
    const text = `the quiche engine does not load on ${process.platform} ${process.arch}: ${errorText(error)}`;
    throw new TransportError("engine_missing", text, {
      data: { platform: process.platform, arch: process.arch },
      cause: error,
    });
  }
}
