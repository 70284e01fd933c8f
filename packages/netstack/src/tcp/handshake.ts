import type { TcpOptions } from "../packet/index.ts";
import { defaultMssBytes, ourWindowScale } from "./tcp-settings.ts";

/** What both ends agreed on by the options of their SYNs. */
export interface HandshakeTerms {
  /** The most payload of a segment we send: what the peer takes and our MTU allows, less the options of every segment. */
  readonly segmentBytes: number;
  /** Shift of the windows the peer tells us (RFC 7323 §2.2). */
  readonly peerShift: number;
  /** Shift of the windows we tell. */
  readonly ourShift: number;
  readonly sack: boolean;
  readonly timestamps: boolean;
}

/** The terms that follow from the peer's options, since we offer everything. `ourMss` is our MTU less both headers. */
export function agreeTerms(peer: TcpOptions, ourMss: number): HandshakeTerms {
  const scaled = peer.windowScale !== undefined;
  const timestamps = peer.timestamps !== undefined;
  // A tiny size would make us send hundreds of packets for what fits into one.
  const peerMss = Math.max(peer.mss ?? defaultMssBytes, leastMssBytes);
  return {
    segmentBytes: Math.min(peerMss, ourMss) - (timestamps ? timestampsBytes : 0),
    peerShift: peer.windowScale ?? 0,
    ourShift: scaled ? ourWindowScale : 0,
    sack: peer.sackPermitted === true,
    timestamps,
  };
}

/** The options of our SYN; of SYN with ACK only what the peer offered (RFC 7323 §2.2 and §3.2, RFC 2018 §2). */
export function synOptions(
  ourMss: number,
  timestamps: TcpOptions["timestamps"],
  agreed: HandshakeTerms | undefined,
): TcpOptions {
  return {
    mss: Math.min(ourMss, 0xffff),
    windowScale: agreed === undefined || agreed.ourShift > 0 ? ourWindowScale : undefined,
    sackPermitted: agreed?.sack ?? true,
    timestamps: agreed === undefined || agreed.timestamps ? timestamps : undefined,
  };
}

const timestampsBytes = 12;
/** What a path of the least MTU of IPv4, 68 bytes, leaves beside both headers is less, and nobody has such paths. */
const leastMssBytes = 64;
