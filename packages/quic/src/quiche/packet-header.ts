/** What a datagram says in the clear about its first packet (RFC 8999 §5, RFC 9000 §17). Byte fields are views on the datagram. */
export type PacketHeader = ShortHeader | LongHeader;

/** A packet of an established connection; its id is taken to be one of ours. */
export interface ShortHeader {
  readonly form: "short";
  readonly dcid: Buffer;
}

/** A packet of a handshake, or of a version we do not know. */
export interface LongHeader {
  readonly form: "long";
  readonly version: number;
  readonly dcid: Buffer;
  readonly scid: Buffer;
  /** Of version 1 packets. */
  readonly type: "initial" | "0rtt" | "handshake" | "retry";
  /** The token of a version 1 Initial packet; empty in others. */
  readonly token: Buffer;
}

/** Length of the connection ids this engine gives itself, and so of every short header's id. */
export const ownIdBytes = 16;
/** The version of RFC 9000. */
export const quicVersion1 = 1;
/** Least UDP payload that may start a connection (RFC 9000 §14.1). */
export const minInitialBytes = 1200;

/**
 * Reads the start of a datagram. Returns undefined if it cannot be QUIC.
 *
 * Connection ids of unknown versions may be longer than 20 bytes (RFC 8999 §5.1); those of version 1 may not.
 */
export function parsePacketHeader(datagram: Buffer): PacketHeader | undefined {
  const first = datagram[0];
  if (first === undefined) return undefined;
  if ((first & longForm) === 0) return parseShort(datagram, first);
  if (datagram.length < minLongBytes) return undefined;
  const version = datagram.readUInt32BE(1);
  const dcidEnd = 6 + (datagram[5] ?? 0);
  const scidLength = datagram[dcidEnd];
  if (scidLength === undefined) return undefined;
  const scidEnd = dcidEnd + 1 + scidLength;
  if (scidEnd > datagram.length) return undefined;
  const dcid = datagram.subarray(6, dcidEnd);
  const scid = datagram.subarray(dcidEnd + 1, scidEnd);
  const type = packetTypes[(first >> 4) & 3] ?? "initial";
  const plain = { form: "long", version, dcid, scid, type, token: noToken } as const;
  if (version !== quicVersion1) return plain;
  if ((first & fixedBit) === 0 || dcid.length > maxIdBytes || scidLength > maxIdBytes) {
    return undefined;
  }
  if (type !== "initial") return plain;
  const length = readVarint(datagram, scidEnd);
  if (length === undefined || length.next + length.value > datagram.length) return undefined;
  return { ...plain, token: datagram.subarray(length.next, length.next + length.value) };
}

/** The connection id of a short packet as a map key (latin1); undefined if the datagram starts with anything else. */
export function shortHeaderId(datagram: Buffer): string | undefined {
  const first = datagram[0] ?? longForm;
  if ((first & (longForm | fixedBit)) !== fixedBit || datagram.length < minShortBytes) {
    return undefined;
  }
  return datagram.toString("latin1", 1, 1 + ownIdBytes);
}

function parseShort(datagram: Buffer, first: number): PacketHeader | undefined {
  if ((first & fixedBit) === 0 || datagram.length < minShortBytes) return undefined;
  return { form: "short", dcid: datagram.subarray(1, 1 + ownIdBytes) };
}

/** A variable-length integer (RFC 9000 §16) that fits a datagram; larger ones give undefined. */
function readVarint(
  datagram: Buffer,
  offset: number,
): { readonly value: number; readonly next: number } | undefined {
  const first = datagram[offset];
  if (first === undefined) return undefined;
  const bytes = 1 << (first >> 6);
  if (offset + bytes > datagram.length || bytes === 8) return undefined;
  if (bytes === 1) return { value: first & 0x3f, next: offset + 1 };
  if (bytes === 2) return { value: datagram.readUInt16BE(offset) & 0x3fff, next: offset + 2 };
  return { value: datagram.readUInt32BE(offset) & 0x3fff_ffff, next: offset + 4 };
}

const packetTypes = ["initial", "0rtt", "handshake", "retry"] as const;
const longForm = 0x80;
const fixedBit = 0x40;
/** Connection ids of version 1 (RFC 9000 §17.2). */
const maxIdBytes = 20;
/** First byte, version and two empty connection ids. */
const minLongBytes = 7;
/** First byte, connection id, and the 4 + 16 bytes that header protection samples (RFC 9001 §5.4.2). */
const minShortBytes = 1 + ownIdBytes + 20;
const noToken = Buffer.alloc(0);
