import { checksumOf, sumBytes, verifiedSum } from "./checksum.ts";
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

/** Types of ICMP messages (RFC 792). */
export const icmpType = {
  echoReply: 0,
  unreachable: 3,
  echoRequest: 8,
  timeExceeded: 11,
} as const;

/** Codes of "destination unreachable" (RFC 792; 13 is RFC 1812 §5.2.7.1). */
export const unreachableCode = {
  network: 0,
  host: 1,
  protocol: 2,
  port: 3,
  fragmentationNeeded: 4,
  prohibited: 13,
} as const;

/** Bytes of an ICMP header. */
export const icmpHeaderBytes = 8;

/** An ICMP message (RFC 792). */
export interface IcmpMessage {
  readonly type: number;
  readonly code: number;
  /** The four bytes after the checksum, unsigned: identifier and sequence number of an echo, the next MTU of code 4. */
  readonly rest: number;
  /** The data of an echo, or the beginning of the packet an error is about. Of a received message a view of its packet. */
  readonly body: Uint8Array;
}

/** Reads the ICMP message of a packet and verifies its checksum. */
export function decodeIcmp(packet: Ipv4Packet): IcmpMessage | PacketFault {
  const bytes = packet.payload;
  if (bytes.length < icmpHeaderBytes) return "bad_transport_header";
  if (sumBytes(bytes) !== verifiedSum) return "bad_transport_checksum";
  return {
    type: bytes[0] ?? 0,
    code: bytes[1] ?? 0,
    rest: readUint32(bytes, 4),
    body: bytes.subarray(icmpHeaderBytes),
  };
}

/** One whole IPv4 packet with an ICMP message, its body copied. Throws a RangeError when that is more than a packet holds. */
export function encodeIcmp(ip: Ipv4Header, message: IcmpMessage): Uint8Array {
  const packet = allocateIpv4(ip, ipProtocol.icmp, icmpHeaderBytes + message.body.length);
  const start = ipv4HeaderBytes;
  packet[start] = message.type;
  packet[start + 1] = message.code;
  writeUint16(packet, start + 2, 0);
  writeUint32(packet, start + 4, message.rest);
  packet.set(message.body, start + icmpHeaderBytes);
  writeUint16(packet, start + 2, checksumOf(sumBytes(packet, start)));
  return packet;
}

/** The packet an ICMP error is about, as far as the error quotes it (RFC 792: its header and at least 8 bytes more). */
export interface QuotedPacket {
  readonly source: number;
  readonly destination: number;
  readonly protocol: number;
  /** The first 8 bytes after the IP header: ports, and the sequence number of TCP. */
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
}

/** Reads the packet quoted in the body of an ICMP error; `undefined` if it is not one, or is cut too short. */
export function decodeQuotedPacket(body: Uint8Array): QuotedPacket | undefined {
  const headerBytes = ((body[0] ?? 0) & 0x0f) * 4;
  if ((body[0] ?? 0) >>> 4 !== 4 || headerBytes < ipv4HeaderBytes) return undefined;
  if (body.length < headerBytes + quotedBytes) return undefined;
  return {
    source: readUint32(body, 12),
    destination: readUint32(body, 16),
    protocol: body[9] ?? 0,
    sourcePort: readUint16(body, headerBytes),
    destinationPort: readUint16(body, headerBytes + 2),
    sequence: readUint32(body, headerBytes + 4),
  };
}

const quotedBytes = 8;
