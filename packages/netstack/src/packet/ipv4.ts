import { checksumOf, sumBytes, verifiedSum } from "./checksum.ts";
import type { Ipv4Address } from "./ipv4-address.ts";

/** The protocol numbers the stack speaks (RFC 790 and its successors at IANA). */
export const ipProtocol = { icmp: 1, tcp: 6, udp: 17 } as const;

/** Bytes of an IPv4 header without options: all the stack ever sends. */
export const ipv4HeaderBytes = 20;

/** The most bytes of one IPv4 packet, and so the largest MTU. */
export const maxIpv4PacketBytes = 65_535;

/** A received IPv4 packet (RFC 791 §3.1), which is whole and has a good header checksum. */
export interface Ipv4Packet {
  readonly source: Ipv4Address;
  readonly destination: Ipv4Address;
  /** One of {@link ipProtocol}, or a protocol the stack does not speak. */
  readonly protocol: number;
  readonly typeOfService: number;
  readonly identification: number;
  readonly dontFragment: boolean;
  readonly ttl: number;
  /** Bytes of the header with its options, which are skipped. */
  readonly headerBytes: number;
  /** A view of what the packet carries; bytes after the header's total length are not in it. */
  readonly payload: Uint8Array;
}

/** Why a received packet is dropped before anybody looks at what it means. */
export type PacketFault =
  | "truncated"
  | "not_ipv4"
  | "bad_header"
  | "bad_ip_checksum"
  | "fragment"
  | "bad_transport_checksum"
  | "bad_transport_header";

/** All of {@link PacketFault}, for counters. */
export const packetFaults = [
  "truncated",
  "not_ipv4",
  "bad_header",
  "bad_ip_checksum",
  "fragment",
  "bad_transport_checksum",
  "bad_transport_header",
] as const satisfies readonly PacketFault[];

/**
 * Reads one IPv4 packet. A fault is returned, not thrown: hostile packets cost no stack traces. Fragments are refused, since
 * every link the stack runs on carries whole packets.
 */
export function decodeIpv4(packet: Uint8Array): Ipv4Packet | PacketFault {
  if (packet.length < ipv4HeaderBytes) return "truncated";
  const versionAndLength = packet[0] ?? 0;
  if (versionAndLength >>> 4 !== 4) return "not_ipv4";
  const headerBytes = (versionAndLength & 0x0f) * 4;
  const totalBytes = readUint16(packet, 2);
  if (headerBytes < ipv4HeaderBytes || totalBytes < headerBytes) return "bad_header";
  if (totalBytes > packet.length) return "truncated";
  if (sumBytes(packet, 0, headerBytes) !== verifiedSum) return "bad_ip_checksum";
  const flagsAndOffset = readUint16(packet, 6);
  if ((flagsAndOffset & (moreFragments | fragmentOffset)) !== 0) return "fragment";
  return {
    source: readUint32(packet, 12),
    destination: readUint32(packet, 16),
    protocol: packet[9] ?? 0,
    typeOfService: packet[1] ?? 0,
    identification: readUint16(packet, 4),
    dontFragment: (flagsAndOffset & dontFragmentFlag) !== 0,
    ttl: packet[8] ?? 0,
    headerBytes,
    payload: packet.subarray(headerBytes, totalBytes),
  };
}

/**
 * The beginning of a received packet, its header with at most `payloadBytes` of what it carries: what an ICMP error quotes. A view.
 */
export function beginningOf(packet: Ipv4Packet, payloadBytes: number): Uint8Array {
  const { payload, headerBytes } = packet;
  return new Uint8Array(
    payload.buffer,
    payload.byteOffset - headerBytes,
    headerBytes + Math.min(payload.length, payloadBytes),
  );
}

/** What a sender chooses about the IPv4 header of a packet. */
export interface Ipv4Header {
  readonly source: Ipv4Address;
  readonly destination: Ipv4Address;
  /** 0 if absent. */
  readonly typeOfService?: number;
  /** Only fragments need it (RFC 6864); 0 if absent. */
  readonly identification?: number;
  /** False if absent. */
  readonly dontFragment?: boolean;
  /** 64 if absent (RFC 1700). */
  readonly ttl?: number;
}

/**
 * A new packet of the length asked for with its IPv4 header written, checksum and all; the bytes after the header are the caller's
 * to fill, every one of them, since the memory is not cleared. Throws a RangeError above {@link maxIpv4PacketBytes}.
 */
export function allocateIpv4(
  header: Ipv4Header,
  protocol: number,
  payloadBytes: number,
): Uint8Array {
  const totalBytes = ipv4HeaderBytes + payloadBytes;
  if (totalBytes > maxIpv4PacketBytes) {
    throw new RangeError(`a packet of ${totalBytes} bytes, at most ${maxIpv4PacketBytes} fit`);
  }
  const packet = Buffer.allocUnsafe(totalBytes);
  packet[0] = 0x45;
  packet[1] = header.typeOfService ?? 0;
  writeUint16(packet, 2, totalBytes);
  writeUint16(packet, 4, header.identification ?? 0);
  writeUint16(packet, 6, header.dontFragment === true ? dontFragmentFlag : 0);
  packet[8] = header.ttl ?? defaultTtl;
  packet[9] = protocol;
  writeUint16(packet, 10, 0);
  writeUint32(packet, 12, header.source);
  writeUint32(packet, 16, header.destination);
  writeUint16(packet, 10, checksumOf(sumBytes(packet, 0, ipv4HeaderBytes)));
  return packet;
}

/** Two bytes in network order; bytes past the end read as 0, so check bounds first. */
export function readUint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

/** Four bytes in network order, unsigned; bytes past the end read as 0. */
export function readUint32(bytes: Uint8Array, at: number): number {
  return ((readUint16(bytes, at) << 16) | readUint16(bytes, at + 2)) >>> 0;
}

/** Writes the low 16 bits in network order. */
export function writeUint16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

/** Writes the low 32 bits in network order. */
export function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

const defaultTtl = 64;
const dontFragmentFlag = 0x4000;
const moreFragments = 0x2000;
const fragmentOffset = 0x1fff;
