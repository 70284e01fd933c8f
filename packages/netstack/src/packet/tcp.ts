import { checksumOf, foldSum, pseudoHeaderSum, sumBytes, verifiedSum } from "./checksum.ts";
import {
  allocateIpv4,
  ipProtocol,
  ipv4HeaderBytes,
  readUint16,
  readUint32,
  writeUint16,
  writeUint32,
  type Ipv4Header,
  type Ipv4Packet,
  type PacketFault,
} from "./ipv4.ts";
import {
  noTcpOptions,
  readTcpOptions,
  tcpOptionBytes,
  writeTcpOptions,
  type TcpOptions,
} from "./tcp-options.ts";

/** Control bits of a TCP header (RFC 9293 §3.1). */
export const tcpFlag = {
  fin: 0x01,
  syn: 0x02,
  rst: 0x04,
  psh: 0x08,
  ack: 0x10,
  urg: 0x20,
  ece: 0x40,
  cwr: 0x80,
} as const;

/** Bytes of a TCP header without options. */
export const tcpHeaderBytes = 20;

/** The header fields of a TCP segment (RFC 9293 §3.1). */
export interface TcpHeader {
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** Unsigned 32-bit, as {@link TcpHeader.acknowledgment}. */
  readonly sequence: number;
  /** Means nothing without the flag `ack`. */
  readonly acknowledgment: number;
  /** The sum of {@link tcpFlag}s. */
  readonly flags: number;
  /** The 16 bits of the wire: not scaled. */
  readonly window: number;
  /** Absent options are {@link noTcpOptions}. */
  readonly options?: TcpOptions;
}

/** A received TCP segment. */
export interface TcpSegment extends TcpHeader {
  readonly options: TcpOptions;
  /** A view of the packet that carried it. */
  readonly payload: Uint8Array;
}

/** Reads the TCP segment of a packet and verifies its checksum. Urgent data is data like any other. */
export function decodeTcp(packet: Ipv4Packet): TcpSegment | PacketFault {
  const bytes = packet.payload;
  if (bytes.length < tcpHeaderBytes) return "bad_transport_header";
  const headerBytes = ((bytes[12] ?? 0) >>> 4) * 4;
  if (headerBytes < tcpHeaderBytes || headerBytes > bytes.length) return "bad_transport_header";
  const pseudo = pseudoHeaderSum(packet.source, packet.destination, ipProtocol.tcp, bytes.length);
  if (foldSum(pseudo + sumBytes(bytes)) !== verifiedSum) return "bad_transport_checksum";
  return {
    sourcePort: readUint16(bytes, 0),
    destinationPort: readUint16(bytes, 2),
    sequence: readUint32(bytes, 4),
    acknowledgment: readUint32(bytes, 8),
    flags: bytes[13] ?? 0,
    window: readUint16(bytes, 14),
    options:
      headerBytes === tcpHeaderBytes
        ? noTcpOptions
        : readTcpOptions(bytes, tcpHeaderBytes, headerBytes),
    payload: bytes.subarray(headerBytes),
  };
}

/**
 * One whole IPv4 packet with a TCP segment whose payload is the parts in their order. The parts are copied. Throws a RangeError
 * when that is more than an IPv4 packet holds.
 */
export function encodeTcp(
  ip: Ipv4Header,
  segment: TcpHeader,
  payload: readonly Uint8Array[] = noPayload,
): Uint8Array {
  const options = segment.options ?? noTcpOptions;
  const headerBytes = tcpHeaderBytes + tcpOptionBytes(options);
  let segmentBytes = headerBytes;
  for (const part of payload) segmentBytes += part.length;
  const packet = allocateIpv4(ip, ipProtocol.tcp, segmentBytes);
  const start = ipv4HeaderBytes;
  writeUint16(packet, start, segment.sourcePort);
  writeUint16(packet, start + 2, segment.destinationPort);
  writeUint32(packet, start + 4, segment.sequence);
  writeUint32(packet, start + 8, segment.acknowledgment);
  packet[start + 12] = (headerBytes / 4) << 4;
  packet[start + 13] = segment.flags;
  writeUint16(packet, start + 14, segment.window);
  writeUint32(packet, start + 16, 0);
  writeTcpOptions(packet, start + tcpHeaderBytes, options);
  let at = start + headerBytes;
  for (const part of payload) {
    packet.set(part, at);
    at += part.length;
  }
  const pseudo = pseudoHeaderSum(ip.source, ip.destination, ipProtocol.tcp, segmentBytes);
  writeUint16(packet, start + 16, checksumOf(foldSum(pseudo + sumBytes(packet, start))));
  return packet;
}

const noPayload: readonly Uint8Array[] = [];
