import type { CloseReason } from "@culvert/runtime";
import type { PeerId } from "@culvert/identity";
import type { QuicSettings } from "../settings.ts";

/** What one end of a memory link tells the other; the frames of RFC 9000 §19 that matter, and a handshake of three steps. */
export type MemoryFrame =
  | { readonly type: "hello"; readonly peer: PeerId; readonly settings: QuicSettings }
  | { readonly type: "welcome"; readonly peer: PeerId; readonly settings: QuicSettings }
  | { readonly type: "finished" }
  | { readonly type: "give-up" }
  | StreamFrame
  | { readonly type: "connection-credit"; readonly bytes: number }
  | { readonly type: "streams-credit"; readonly streams: number }
  | { readonly type: "ping" }
  | { readonly type: "pong" }
  | { readonly type: "close"; readonly reason: CloseReason };

/** A frame about one stream. The bytes of `data` are the receiver's own. */
export type StreamFrame =
  | {
      readonly type: "data";
      readonly id: number;
      readonly bytes: Uint8Array;
      readonly fin: boolean;
    }
  | { readonly type: "reset"; readonly id: number; readonly code: number }
  | { readonly type: "stop"; readonly id: number; readonly code: number }
  | { readonly type: "stream-credit"; readonly id: number; readonly bytes: number };
