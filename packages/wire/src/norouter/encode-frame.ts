import { WireError } from "@culvert/runtime";
import { frameHeaderBytes, frameMagic, maxFramePayloadBytes } from "./frame-layout.ts";

/** The bytes a frame takes with a payload of this many bytes. */
export function encodedFrameLength(payloadBytes: number): number {
  return frameHeaderBytes + payloadBytes;
}

/**
 * The eight bytes before a payload, for writers that can write several buffers at once without joining them.
 * @throws WireError `frame_too_large` where the length field cannot say it (16,777,211 bytes).
 */
export function encodeNorouterHeader(type: number, payloadBytes: number, reserved = 0): Uint8Array {
  const header = new Uint8Array(frameHeaderBytes);
  writeHeader(header, type, payloadBytes, reserved);
  return header;
}

/**
 * A frame in one buffer of its own, which the caller may keep: what is written at once arrives at once.
 * @throws WireError `frame_too_large` where the length field cannot say it (16,777,211 bytes).
 */
export function encodeFrame(type: number, payload: Uint8Array, reserved = 0): Uint8Array {
  checkLength(payload.length);
  const frame = new Uint8Array(encodedFrameLength(payload.length));
  writeHeader(frame, type, payload.length, reserved);
  frame.set(payload, frameHeaderBytes);
  return frame;
}

function writeHeader(
  target: Uint8Array,
  type: number,
  payloadBytes: number,
  reserved: number,
): void {
  checkLength(payloadBytes);
  const length = payloadBytes + 4;
  target[0] = frameMagic;
  target[1] = length >>> 16;
  target[2] = length >>> 8;
  target[3] = length;
  target[4] = type >>> 8;
  target[5] = type;
  target[6] = reserved >>> 8;
  target[7] = reserved;
}

function checkLength(payloadBytes: number): void {
  if (payloadBytes <= maxFramePayloadBytes) return;
  throw new WireError(
    "frame_too_large",
    `a NoRouter frame with ${payloadBytes} bytes of payload; at most ${maxFramePayloadBytes} can be said`,
    { data: { length: payloadBytes, max: maxFramePayloadBytes } },
  );
}
