import { checksumOf, foldSum, pseudoHeaderSum, sumBytes, verifiedSum } from "./checksum.ts";
import {
  allocateIpv4,
  ipProtocol,
  ipv4HeaderBytes,
  readUint16,
  writeUint16,
  type Ipv4Header,
  type Ipv4Packet,
  type PacketFault,
} from "./ipv4.ts";

/** Bytes of a UDP header. */
export const udpHeaderBytes = 8;

/** The ports of a UDP datagram (RFC 768). */
export interface UdpHeader {
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** A received UDP datagram. */
export interface UdpDatagram extends UdpHeader {
  /** A view of the packet that carried it. */
  readonly payload: Uint8Array;
}

/** Reads the UDP datagram of a packet. A checksum of 0 says that there is none (RFC 768). */
export function decodeUdp(packet: Ipv4Packet): UdpDatagram | PacketFault {
  const bytes = packet.payload;
  if (bytes.length < udpHeaderBytes) return "bad_transport_header";
  const length = readUint16(bytes, 4);
  if (length < udpHeaderBytes || length > bytes.length) return "bad_transport_header";
  if (readUint16(bytes, 6) !== 0) {
    const pseudo = pseudoHeaderSum(packet.source, packet.destination, ipProtocol.udp, length);
    if (foldSum(pseudo + sumBytes(bytes, 0, length)) !== verifiedSum) {
      return "bad_transport_checksum";
    }
  }
  return {
    sourcePort: readUint16(bytes, 0),
    destinationPort: readUint16(bytes, 2),
    payload: bytes.subarray(udpHeaderBytes, length),
  };
}

/** One whole IPv4 packet with a UDP datagram, its payload copied. Throws a RangeError when that is more than a packet holds. */
export function encodeUdp(ip: Ipv4Header, header: UdpHeader, payload: Uint8Array): Uint8Array {
  const length = udpHeaderBytes + payload.length;
  const packet = allocateIpv4(ip, ipProtocol.udp, length);
  const start = ipv4HeaderBytes;
  writeUint16(packet, start, header.sourcePort);
  writeUint16(packet, start + 2, header.destinationPort);
  writeUint16(packet, start + 4, length);
  writeUint16(packet, start + 6, 0);
  packet.set(payload, start + udpHeaderBytes);
  const pseudo = pseudoHeaderSum(ip.source, ip.destination, ipProtocol.udp, length);
  const checksum = checksumOf(foldSum(pseudo + sumBytes(packet, start)));
  // 0 would say "no checksum"; its other form means the same number (RFC 768).
  writeUint16(packet, start + 6, checksum === 0 ? 0xffff : checksum);
  return packet;
}
