import { quicDefaults } from "@culvert/quic";

/** What absent keys mean, in the words of a file, each with its reason. */
export const configDefaults = {
  // The registered range has nothing here, and the client and the admin port of a trial stand beside it. Both families, since
  // a peer behind carrier NAT may have only one of them.
  relayListen: "0.0.0.0:30380 [::]:30380",
  // Metrics name peers, so only the machine itself reads them unless the operator says otherwise.
  relayAdmin: "127.0.0.1:30390",
  // P2 and P4 run on people's machines, where an open port nobody asked for is a surprise.
  proxyAdmin: "off",
  // Long enough for an interactive command, short enough for a restart by hand or by systemd (90 s).
  drain: "30s",
  logLevel: "info",
  logFormat: "auto",
  // A tenth of a second heals a dropped link unseen. The cap is low, so that a relay that restarts is found again within a
  // second, at the price of one small datagram a second while it is away.
  reconnectFirst: "100ms",
  reconnectCap: "1s",
  // Half a minute is what people wait; a third of it leaves room for name lookup and both hops.
  serverConnectTimeout: "10s",
  // Above the server's, so that its better answer arrives first.
  relayConnectTimeout: "15s",
  // Above the relay's, for the same reason.
  clientConnectTimeout: "20s",
  // QUIC where UDP passes; WebSocket on port 443 passes nearly everywhere else.
  transports: "quic wss",
  // Connections that began by WebSocket end there, however long a person's shell stays open; a day bounds what is forgotten.
  moveDrain: "24h",
  // 100 ms x 320 Mbit/s on one stream; TCP below has its own windows, so more would mostly be memory.
  wssStreamWindow: "4MiB",
  wssSessionWindow: "64MiB",
  acmeDirectory: "https://acme-v02.api.letsencrypt.org/directory",
  acmeStateDir: "acme",
  // What QUIC bounds its handshakes to.
  webHandshakes: String(quicDefaults.maxHalfOpen),
  publicConnections: "10000",
  tipDeadline: "5s",
  sessions: "10000",
  transientSessionsPerPeer: "16",
  // Below the stream limit of a session by quiche or WebSocket, so that the refusal can still be told; a session by quinn carries
  // 4,096 streams, and there a warning says so.
  connections: String(Math.min(12_000, quicDefaults.maxStreams)),
} as const;
