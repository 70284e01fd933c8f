export { answerAndEnd } from "./answer-and-end.ts";
export { closeGently } from "./close-gently.ts";
export { chooseDialEngine, chooseListenEngine, isLoopback } from "./engine-choice.ts";
export type { EngineChoice, EnginePolicy } from "./engine-choice.ts";
export { dialTimeoutDefault, reconnectDefaults } from "./defaults.ts";
export { firstBytesOrTurn, maxEarlyBytes, passEarlyBytes } from "./early-bytes.ts";
export { createEngines } from "./engines.ts";
export { dialRace, resolveAddresses, type LookUp, type RaceOptions } from "./happy-eyeballs.ts";
export { formatHostPort, type HostPort } from "./host-port.ts";
export {
  quicDialer,
  type Engines,
  type QuicDialerDeps,
  type QuicDialerOptions,
} from "./quic-dialer.ts";
export {
  listenQuic,
  shutdownReason,
  type QuicListenOptions,
  type SessionListener,
} from "./quic-listen.ts";
export { linkObserver, type LinkObserverOptions } from "./link-observer.ts";
export { linkStatus, type LinkStatus } from "./link-status.ts";
export { CommandLinkMetrics } from "./norouter/command-link-metrics.ts";
export { commandLinkObserver } from "./norouter/command-link-observer.ts";
export {
  CommandLink,
  type CommandLinkDeps,
  type CommandLinkObserver,
  type CommandLinkOptions,
  type CommandLinkStatus,
} from "./norouter/command-link.ts";
export { CommandLinks } from "./norouter/command-links.ts";
export { NorouterSession, type NorouterSessionOptions } from "./norouter/norouter-session.ts";
export {
  acceptNorouter,
  dialNorouter,
  type AcceptNorouterOptions,
  type DialNorouterOptions,
  type NorouterDeps,
} from "./norouter/open-norouter.ts";
export {
  PacketPipe,
  type PacketPipeHandlers,
  type PacketPipeStats,
} from "./norouter/packet-pipe.ts";
export type { EgressLimits } from "./norouter/egress-queue.ts";
export { LinkMetrics } from "./metrics.ts";
export { QuicSession } from "./quic-session.ts";
export { readAnswer } from "./read-answer.ts";
export { attach } from "./attach.ts";
export { planDials, type BetterWay, type DialPlan, type Transport } from "./transport-race.ts";
export {
  RelayLink,
  type LinkObserver,
  type LinkState,
  type RelayLinkDeps,
  type RelayLinkOptions,
} from "./relay-link.ts";
export type { Session, SessionStats } from "./session.ts";
export { readTip, writeTip, type ReadTipOptions } from "./tip-io.ts";
export type { Carrier, CarrierHandlers } from "./mproxy/carrier.ts";
export type {
  ConnectionHandler,
  ConnectionMeta,
  Tunnel,
  TunnelAgreement,
  TunnelControl,
  TunnelDeps,
  TunnelDialect,
  TunnelDropReason,
  TunnelOptions,
  TunnelSettings,
  TunnelStats,
} from "./mproxy/tunnel-api.ts";
export { MproxySession, type MproxySessionOptions } from "./mproxy/mproxy-session.ts";
export { tunnelDefaults } from "./mproxy/tunnel-defaults.ts";
export { MproxyTunnel } from "./mproxy/tunnel.ts";
export { dialCarrier, type DialCarrierOptions } from "./mproxy/dial-carrier.ts";
export { ProxyBypass, type HttpProxy } from "./mproxy/http-proxy.ts";
export {
  SessionAcceptor,
  unprovedLimitDefaults,
  type SessionAcceptorDeps,
  type SessionAcceptorOptions,
  type SessionUpgrades,
} from "./mproxy/session-acceptor.ts";
export { StreamCarrier, type StreamCarrierOptions } from "./mproxy/stream-carrier.ts";
export type { UnprovedLimits } from "./mproxy/unproved-peers.ts";
export { UpgradedWebSocket, type OpenWebSocket } from "./mproxy/upgraded-web-socket.ts";
export { WebSocketCarrier, type WebSocketCarrierOptions } from "./mproxy/web-socket-carrier.ts";
export { connectThroughProxy } from "./mproxy/http-proxy-connect.ts";
export { connectOverTls, connectTcp, type TlsOptions } from "./mproxy/wss-connect.ts";
export { wssDialer, type WssDialerDeps, type WssDialerOptions } from "./mproxy/wss-dialer.ts";
export { listenWss, type WssListenOptions } from "./mproxy/wss-listen.ts";
export { sessionPath, sessionSubprotocol } from "./mproxy/wss-names.ts";
export type { WssSettings } from "./mproxy/wss-settings.ts";
