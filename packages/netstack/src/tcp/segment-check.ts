import { tcpFlag, type TcpSegment } from "../packet/index.ts";
import type { ReceiveSide } from "./receive-side.ts";
import type { Timestamps } from "./timestamps.ts";

/** What becomes of a segment whose acknowledgement and bytes are not looked at. */
export type Declined =
  /** Nothing. */
  | "drop"
  /** It ends the connection. */
  | "reset"
  /** It is answered by an acknowledgement, as far as their rate allows (RFC 5961 §7). */
  | "challenge"
  /** It is acknowledged: a segment with bytes, of long ago by its timestamp. */
  | "acknowledge"
  /** It is acknowledged: its bytes or FIN lie outside of the window, and came before most likely. */
  | "repeated";

/** What is to be done with a segment: taken, taken but for its bytes, or neither. */
export type SegmentVerdict = "take" | "probe" | Declined;

/**
 * Judges a segment at `position` of the peer's direction by its timestamp, its place and RST: the first two steps of RFC 9293
 * §3.10.7.4, with RFC 7323 §5.3 before them and RFC 5961 §3.2 in them. SYN was looked at before, ACK is afterwards.
 */
export function checkSegment(
  segment: TcpSegment,
  position: number,
  receive: Pick<ReceiveSide, "isAcceptable" | "next" | "edge">,
  timestamps: Pick<Timestamps, "agreed" | "isOld">,
  nowMs: number,
): SegmentVerdict {
  const { flags, payload } = segment;
  const length = payload.length + ((flags & tcpFlag.fin) === 0 ? 0 : 1);
  const isAcceptable = receive.isAcceptable(position, length);
  if ((flags & tcpFlag.rst) !== 0) {
    if (!isAcceptable) return "drop";
    // Only a reset at exactly the next position is believed (RFC 5961 §3.2).
    return position === receive.next ? "reset" : "challenge";
  }
  if (timestamps.agreed) {
    const option = segment.options.timestamps;
    // RFC 7323 §3.2: without the option it is not of this connection.
    if (option === undefined) return "drop";
    if (timestamps.isOld(option.value, nowMs)) {
      return payload.length > 0 ? "acknowledge" : "challenge";
    }
  }
  if (isAcceptable) return "take";
  // A probe of a closed window: its acknowledgement counts, its bytes do not (RFC 9293 §3.10.7.4).
  if (receive.edge === receive.next && position === receive.next) return "probe";
  // Bytes that came twice are no loop of acknowledgements: their sender waits for ours.
  return length > 0 ? "repeated" : "challenge";
}
