export { formatEndpoint, type Endpoint } from "./endpoint.ts";
export { Netstack, type ConnectOptions } from "./stack/netstack.ts";
export {
  defaultNetstackLimits,
  type NetstackLimits,
  type NetstackOptions,
} from "./stack/netstack-options.ts";
export {
  dropReasons,
  type DropReason,
  type NetstackStats,
  type TcpCounters,
} from "./stack/netstack-stats.ts";
export { type Acceptor, type ListenOptions, type TcpListener } from "./stack/tcp-listener.ts";
export type { UnclaimedVerdict } from "./stack/tcp-stack.ts";
export type { SendFigures } from "./tcp/send-side.ts";
export type { TcpConnection, TcpConnectionStats } from "./tcp/tcp-connection.ts";
export { defaultTcpSettings, type TcpSettings } from "./tcp/tcp-settings.ts";
export type {
  DatagramListener,
  ReceivedDatagram,
  UdpBindOptions,
  UdpCounters,
  UdpSocket,
} from "./udp/udp-ports.ts";
export type { IcmpCounters } from "./icmp/icmp-responder.ts";
export { encodeIcmp, icmpType, type IcmpMessage } from "./packet/icmp.ts";
export type { Ipv4Header } from "./packet/ipv4.ts";
