import { describe, expect, test } from "vitest";
import { tcpFlag, type TcpSegment } from "../packet/index.ts";
import { ReceiveSide } from "./receive-side.ts";
import { UnreadLedger } from "./unread-ledger.ts";
import { checkSegment, type SegmentVerdict } from "./segment-check.ts";
import { Timestamps } from "./timestamps.ts";

const { ack, fin, rst } = tcpFlag;
const reader = { take: () => undefined, unreadBytes: () => 0 };

/** The verdict on a segment of a peer whose next position is 1 and whose window ends at 101, or at once. */
function judge(
  position: number,
  flags: number,
  bytes: number,
  { timestamp, agreed = false, windowBytes = 100 }: Situation = {},
): SegmentVerdict {
  const receive = new ReceiveSide(reader, windowBytes, new UnreadLedger(Infinity));
  receive.begin(0, 100);
  const timestamps = new Timestamps(0);
  if (agreed) timestamps.begin(50, 0);
  const segment: TcpSegment = {
    sourcePort: 1,
    destinationPort: 2,
    sequence: 0,
    acknowledgment: 0,
    flags,
    window: 0,
    options: timestamp === undefined ? {} : { timestamps: { value: timestamp, echo: 0 } },
    payload: new Uint8Array(bytes),
  };
  return checkSegment(segment, position, receive, timestamps, 0);
}

interface Situation {
  readonly timestamp?: number;
  readonly agreed?: boolean;
  readonly windowBytes?: number;
}

describe("a segment of an open connection (RFC 9293 §3.10.7.4)", () => {
  test.each<[string, SegmentVerdict, number, number, number, Situation?]>([
    ["next in order", "take", 1, ack, 5],
    ["beyond a gap", "take", 50, ack, 5],
    ["of bytes that came before", "repeated", -10, ack, 5],
    ["of FIN that came before", "repeated", 0, ack | fin, 0],
    ["past the window", "repeated", 101, ack, 5],
    ["without bytes, outside of the window", "challenge", 0, ack, 0],
    ["with a byte for a closed window", "probe", 1, ack, 1, { windowBytes: 0 }],
    ["without bytes for a closed window", "take", 1, ack, 0, { windowBytes: 0 }],
    ["beyond a closed window", "repeated", 2, ack, 1, { windowBytes: 0 }],
    ["with RST at the next position", "reset", 1, rst, 0],
    ["with RST in the window", "challenge", 2, rst, 0],
    ["with RST outside of it", "drop", 0, rst, 0],
    ["with RST and no timestamp", "reset", 1, rst, 0, { agreed: true }],
    ["without the timestamp agreed on", "drop", 1, ack, 5, { agreed: true }],
    ["with bytes of long ago", "acknowledge", 1, ack, 5, { agreed: true, timestamp: 49 }],
    ["of long ago without bytes", "challenge", 1, ack, 0, { agreed: true, timestamp: 49 }],
    ["of the same time", "take", 1, ack, 5, { agreed: true, timestamp: 50 }],
    ["with a timestamp nobody agreed on", "take", 1, ack, 5, { timestamp: 0 }],
  ])("%s: %s", (_, verdict, position, flags, bytes, situation) => {
    expect(judge(position, flags, bytes, situation)).toBe(verdict);
  });
});
