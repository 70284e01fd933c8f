export { formatIpv4Address, parseIpv4Address, type Ipv4Address } from "./ipv4-address.ts";
export { checksumOf, foldSum, pseudoHeaderSum, sumBytes, verifiedSum } from "./checksum.ts";
export {
  allocateIpv4,
  beginningOf,
  decodeIpv4,
  ipProtocol,
  ipv4HeaderBytes,
  maxIpv4PacketBytes,
  packetFaults,
  type Ipv4Header,
  type Ipv4Packet,
  type PacketFault,
} from "./ipv4.ts";
export {
  decodeTcp,
  encodeTcp,
  tcpFlag,
  tcpHeaderBytes,
  type TcpHeader,
  type TcpSegment,
} from "./tcp.ts";
export {
  noTcpOptions,
  tcpOptionBytes,
  type SackBlock,
  type TcpOptions,
  type TcpTimestamps,
} from "./tcp-options.ts";
export { decodeUdp, encodeUdp, udpHeaderBytes, type UdpDatagram, type UdpHeader } from "./udp.ts";
export {
  decodeIcmp,
  decodeQuotedPacket,
  encodeIcmp,
  icmpHeaderBytes,
  icmpType,
  unreachableCode,
  type IcmpMessage,
  type QuotedPacket,
} from "./icmp.ts";
