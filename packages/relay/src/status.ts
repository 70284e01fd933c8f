import type { Millis } from "@culvert/runtime";
import type { CommandLinkStatus, SessionListener } from "@culvert/transport";
import type { ConnectionTable } from "./connection-table.ts";
import type { Directory } from "./directory.ts";
import type { TelebitDeviceStatus } from "./telebit/telebit-session.ts";
import type { PublicStatus } from "./web/public-status.ts";

/** What `culvert status` shows of a relay; plain JSON. */
export interface RelayStatus {
  readonly role: "relay";
  readonly draining: boolean;
  readonly listen: readonly string[];
  readonly peers: readonly PeerStatus[];
  readonly connections: readonly ConnectionStatus[];
  /** Telebit devices that hold a token; absent where the relay serves none. */
  readonly devices?: readonly TelebitDeviceStatus[];
  /** Peers that the relay goes to itself; absent where there are none. */
  readonly links?: readonly CommandLinkStatus[];
  /** The public entrance; absent where there is none. */
  readonly public?: PublicStatus;
  /** Bytes relayed since the start. */
  readonly bytes: { readonly clientToServer: number; readonly serverToClient: number };
}

/** A known peer, attached or not. */
export interface PeerStatus {
  readonly name: string;
  readonly id: string;
  readonly role: "client" | "server";
  readonly sessions: readonly PeerSessionStatus[];
}

/** One session of a peer. */
export interface PeerSessionStatus {
  readonly remote: string;
  readonly transport: string;
  readonly transient: boolean;
  /** Whether the peer has moved away from it. */
  readonly leaving: boolean;
  readonly services: readonly string[];
  readonly software: string;
  readonly ageMs: number;
  readonly rttMs: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly openStreams: number;
}

/** One forwarded connection with its four identifiers. */
export interface ConnectionStatus {
  readonly trace: string;
  readonly client: string;
  readonly clientPort: number;
  readonly server: string;
  readonly target: string;
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly ageMs: number;
}

/** Takes the picture. */
export function relayStatus(parts: {
  readonly now: Millis;
  readonly listeners: readonly SessionListener[];
  readonly directory: Directory;
  readonly connections: ConnectionTable;
  readonly draining: boolean;
  readonly bytes: RelayStatus["bytes"];
  readonly devices: readonly TelebitDeviceStatus[] | undefined;
  readonly entrance: PublicStatus | undefined;
  readonly links: readonly CommandLinkStatus[] | undefined;
}): RelayStatus {
  const { now, listeners, directory, connections, draining, bytes, devices, links } = parts;
  return {
    role: "relay",
    draining,
    listen: listeners.map(({ description }) => description),
    peers: [...directory.list()].map(({ peer, sessions }) => ({
      name: peer.name,
      id: peer.id,
      role: peer.role,
      sessions: sessions.map((attached) => ({
        remote: attached.session.remote,
        transport: attached.session.transport,
        transient: attached.transient,
        leaving: directory.isLeaving(attached),
        services: attached.services,
        software: attached.software,
        ageMs: Math.round(now - attached.attachedAt),
        ...attached.session.stats(),
      })),
    })),
    ...(devices === undefined ? {} : { devices }),
    ...(parts.entrance === undefined ? {} : { public: parts.entrance }),
    ...(links === undefined ? {} : { links }),
    connections: [...connections.list()].map((connection) => ({
      trace: connection.traceId,
      client: connection.client,
      clientPort: connection.clientPort,
      server: connection.server,
      target: connection.target,
      bytesUp: connection.progress.leftToRightBytes,
      bytesDown: connection.progress.rightToLeftBytes,
      ageMs: Math.round(now - connection.openedAt),
    })),
    bytes,
  };
}
