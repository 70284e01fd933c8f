import { formatByteSize } from "@culvert/runtime";
import { tipDefaults } from "@culvert/wire";
import type { DaemonConfig } from "./load-config.ts";

/** One thing that takes memory, at its bound. */
export interface MemoryItem {
  readonly what: string;
  readonly bytes: number;
  /** How it comes about: `3 sessions x 64 MiB (quic.connectionWindow)`. */
  readonly because: string;
}

/** The most buffer memory a configuration allows peers to make a daemon hold. */
export interface WorstCaseMemory {
  readonly items: readonly MemoryItem[];
  readonly totalBytes: number;
}

/**
 * Adds up what a daemon would hold if every peer used every bound to the full at once. Buffers only: the process itself takes about
 * 60 MiB besides.
 */
export function worstCaseMemory(config: DaemonConfig): WorstCaseMemory {
  const { settings } = config.quic;
  const sessions = sessionBound(config);
  const connections = connectionBound(config, sessions.count);
  const windows = `${sessions.because} x ${formatByteSize(settings.connectionWindowBytes)} (quic.connectionWindow)`;
  const items: MemoryItem[] = [
    {
      what: "received from peers and not yet passed on",
      bytes: sessions.count * settings.connectionWindowBytes,
      because: windows,
    },
    {
      what: "sent to peers and not yet acknowledged",
      bytes: sessions.count * settings.connectionWindowBytes,
      because: `${windows}, where peers have the same windows`,
    },
    {
      what: "buffers of open connections",
      bytes: connections.count * connectionBytes,
      because: `${connections.because} x ${formatByteSize(connectionBytes)}`,
    },
    {
      what: "UDP socket buffers in the kernel",
      bytes: 2 * listeners(config) * settings.socketBufferBytes,
      because: `2 x ${listeners(config)} x ${formatByteSize(settings.socketBufferBytes)} (quic.socketBuffer)`,
    },
  ];
  if (config.role === "relay") {
    items.push({
      what: "handshakes under way",
      bytes: settings.maxHalfOpen * handshakeBytes,
      because: `${settings.maxHalfOpen} (quic.maxHalfOpen) x ${formatByteSize(handshakeBytes)}`,
    });
  }
  return {
    items: Object.freeze(items),
    totalBytes: items.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

interface Bound {
  readonly count: number;
  readonly because: string;
}

/** A relay keeps one session per known peer, and some more for one-shot clients. */
function sessionBound(config: DaemonConfig): Bound {
  if (config.role !== "relay") return { count: 1, because: "1 session" };
  const clients = config.peers.filter(({ role }) => role === "client").length;
  const known = config.peers.length + clients * config.limits.transientSessionsPerPeer;
  return known <= config.limits.sessions
    ? {
        count: known,
        because: `${plural(known, "session")} of ${plural(config.peers.length, "peer")}`,
      }
    : { count: config.limits.sessions, because: `${config.limits.sessions} (limits.sessions)` };
}

function connectionBound(config: DaemonConfig, sessions: number): Bound {
  if (config.role !== "relay") {
    const { connections } = config.limits;
    return { count: connections, because: `${connections} (limits.connections)` };
  }
  const clients = config.peers.filter(({ role }) => role === "client").length;
  const perClient = config.limits.connectionsPerClient;
  const count = Math.min(clients * perClient, sessions * config.quic.settings.maxStreams);
  return {
    count,
    because: `${plural(clients, "client")} x ${perClient} (limits.connectionsPerClient)`,
  };
}

function listeners(config: DaemonConfig): number {
  return config.role === "relay" ? config.listen.length : 1;
}

function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** A connection's tip while it is read, and what Node holds of two streams below their high-water marks. */
const connectionBytes = tipDefaults.maxTipBytes + 4 * 64 * 1024;
/** A TLS 1.3 handshake with its certificates, transport state included: an estimate, generously rounded up. */
const handshakeBytes = 128 * 1024;
