/** What a frame of a WebSocket is for (RFC 6455 §5.2); 3 to 7 and 11 to 15 are kept for later. */
export const WebSocketOpcode = {
  Continuation: 0x0, // more of the last message
  Text: 0x1, // utf-8
  Binary: 0x2, // bytes
  Close: 0x8, // nothing; or code uint16, reason utf-8 of at most 123 bytes
  Ping: 0x9, // at most 125 bytes, which the pong gives back
  Pong: 0xa, // as the ping
} as const;
/** One of {@link WebSocketOpcode}. */
export type WebSocketOpcode = (typeof WebSocketOpcode)[keyof typeof WebSocketOpcode];

/** Codes of close frames (RFC 6455 §7.4.1) that are used here. */
export const WebSocketCloseCode = {
  Normal: 1000,
  GoingAway: 1001,
  Protocol: 1002,
  /** A kind of message that is not taken. */
  Unsupported: 1003,
  /** Never sent: what is said of a close frame without a code. */
  Absent: 1005,
  /** Text that is no UTF-8. */
  BadText: 1007,
  TooLarge: 1009,
} as const;

/** Most bytes of a ping, a pong or a close frame (RFC 6455 §5.5). */
export const maxControlFrameBytes = 125;

/** Fills four bytes with a fresh mask. */
export type MakeMask = (mask: Uint8Array) => void;

/** Bytes of the header before a payload of this many bytes. */
export function webSocketHeaderLength(payloadBytes: number, masked: boolean): number {
  const extended = payloadBytes < 126 ? 0 : payloadBytes < 65_536 ? 2 : 8;
  return 2 + extended + (masked ? 4 : 0);
}

/** Writes the header of a whole message (FIN set) at `offset`; returns where its payload begins. A mask is sent by diallers alone. */
export function writeWebSocketHeader(
  into: Buffer,
  offset: number,
  frame: { readonly opcode: WebSocketOpcode; readonly payloadBytes: number },
  mask: Uint8Array | undefined,
): number {
  const { opcode, payloadBytes } = frame;
  const maskBit = mask === undefined ? 0 : 0x80;
  let end = into.writeUInt8(0x80 | opcode, offset);
  if (payloadBytes < 126) end = into.writeUInt8(maskBit | payloadBytes, end);
  else if (payloadBytes < 65_536) {
    end = into.writeUInt8(maskBit | 126, end);
    end = into.writeUInt16BE(payloadBytes, end);
  } else {
    end = into.writeUInt8(maskBit | 127, end);
    end = into.writeUInt16BE(0, end);
    end = into.writeUIntBE(payloadBytes, end, 6);
  }
  if (mask === undefined) return end;
  into.set(mask, end);
  return end + mask.length;
}

/**
 * Masks bytes in place, or takes the mask off, which is the same (RFC 6455 §5.3). The first byte is the first of the frame's payload, or a
 * multiple of four behind it.
 */
export function applyMask(bytes: Uint8Array, mask: Uint8Array): void {
  // A mask of nought, as diallers use where nobody can read between, changes nothing.
  if (mask.every((byte) => byte === 0)) return;
  const head = bytes.length < worthWords ? bytes.length : -bytes.byteOffset & 3;
  xorBytes(bytes, 0, head, mask);
  if (head === bytes.length) return;
  const turned = Uint8Array.from(mask, (_byte, index) => mask[(head + index) & 3] ?? 0);
  const word = new Uint32Array(turned.buffer)[0] ?? 0;
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset + head, (bytes.length - head) >>> 2);
  for (let index = 0; index < words.length; index += 1) words[index] = (words[index] ?? 0) ^ word;
  xorBytes(bytes, head + words.byteLength, bytes.length, mask);
}

function xorBytes(bytes: Uint8Array, from: number, to: number, mask: Uint8Array): void {
  for (let index = from; index < to; index += 1) {
    bytes[index] = (bytes[index] ?? 0) ^ (mask[index & 3] ?? 0);
  }
}

/** Bytes from which on four at a time are quicker than one. */
const worthWords = 32;
