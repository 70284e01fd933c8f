import { sessionBounds } from "@culvert/quic";
import { formatByteSize, formatMillis } from "@culvert/runtime";
import { tipDefaults } from "@culvert/wire";
import type { DaemonConfig } from "./load-config.ts";
import { possibleEngines } from "./possible-engines.ts";
import { sessionCounts, type SessionCounts } from "./session-counts.ts";

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
  const counts = sessionCounts(config);
  const items = [
    received(config, counts),
    sent(config, counts),
    connectionBuffers(config, counts),
    ...(possibleEngines(config).length > 0 ? [socketBuffers(config)] : []),
    ...(config.role === "relay" ? ofStrangers(config) : []),
  ];
  return {
    items: Object.freeze(items),
    totalBytes: items.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

/** Each session by its window; where sessions have none, every stream by its own, on both hops of a relay. */
function received(config: DaemonConfig, { sessions, streams }: SessionCounts): MemoryItem {
  const what = "received from peers and not yet passed on";
  const window = sessionWindow(config);
  const items = [
    {
      what,
      bytes: sessions.count * window.bytes,
      because: `${sessions.because} x ${window.because}`,
    },
  ];
  if (possibleEngines(config).includes("quiche")) {
    const { streamBytes } = sessionBounds("quiche", config.quic.settings);
    const each = `${formatByteSize(streamBytes)} (quic.streamWindow; quiche has no window of a session)`;
    const because = `${streams.because} x ${each}`;
    items.push({ what, bytes: streams.count * streamBytes, because });
  }
  if (hasLinks(config)) {
    const { streamWindowBytes } = config.wss;
    const each = `${formatByteSize(streamWindowBytes)} (wss.streamWindow; a link has no window of a session)`;
    const because = `${streams.because} x ${each}`;
    items.push({ what, bytes: streams.count * streamWindowBytes, because });
  }
  return largest(items);
}

function sent(config: DaemonConfig, { sessions, streams }: SessionCounts): MemoryItem {
  const what = "sent to peers and not yet acknowledged";
  const window = sessionWindow(config);
  const because = `${sessions.because} x ${window.because}, where peers have the same windows`;
  const bySessions = { what, bytes: sessions.count * window.bytes, because };
  if (!hasLinks(config)) return bySessions;
  const each = `${formatByteSize(linkSendBytes)} of a stream of a link`;
  return largest([
    bySessions,
    { what, bytes: streams.count * linkSendBytes, because: `${streams.because} x ${each}` },
  ]);
}

function largest(items: readonly MemoryItem[]): MemoryItem {
  return items.reduce((most, item) => (item.bytes > most.bytes ? item : most));
}

/** Whether sessions may go over the standard input and output of a process. */
function hasLinks(config: DaemonConfig): boolean {
  const links = config.role === "server" ? [] : config.links;
  const isAtTheEnd = config.role !== "relay" && config.transports.includes("norouter");
  return links.length > 0 || isAtTheEnd;
}

function connectionBuffers(config: DaemonConfig, { connections }: SessionCounts): MemoryItem {
  return {
    what: "buffers of open connections",
    bytes: connections.count * connectionBytes,
    because: `${connections.because} x ${formatByteSize(connectionBytes)}`,
  };
}

function socketBuffers(config: DaemonConfig): MemoryItem {
  const sockets = config.role === "relay" ? config.listen.length : 1;
  const { socketBufferBytes } = config.quic.settings;
  return {
    what: "UDP socket buffers in the kernel",
    bytes: 2 * sockets * socketBufferBytes,
    because: `2 x ${sockets} x ${formatByteSize(socketBufferBytes)} (quic.socketBuffer)`,
  };
}

/** What those hold whom the relay does not know, or not yet. */
function ofStrangers(config: DaemonConfig & { readonly role: "relay" }): readonly MemoryItem[] {
  const { web, limits, quic } = config;
  const items: MemoryItem[] = [ofStrangerSessions(config)];
  if (config.listen.length > 0) {
    items.push({
      what: "QUIC handshakes under way",
      bytes: quic.settings.maxHalfOpen * handshakeBytes,
      because: `${quic.settings.maxHalfOpen} (quic.maxHalfOpen) x ${formatByteSize(handshakeBytes)}`,
    });
  }
  if ([...web.https, ...web.http, ...web.plain, ...config.public.ports].length > 0) {
    items.push(
      {
        what: "TLS and WebSocket handshakes under way",
        bytes: web.maxHandshakes * handshakeBytes,
        because: `${web.maxHandshakes} (web.maxHandshakes) x ${formatByteSize(handshakeBytes)}`,
      },
      {
        what: "buffers of public connections",
        bytes: limits.publicConnections * connectionBytes,
        because: `${limits.publicConnections} (limits.publicConnections) x ${formatByteSize(connectionBytes)}`,
      },
    );
  }
  return items;
}

interface Window {
  readonly bytes: number;
  readonly because: string;
}

/** The larger window of the transports there are. */
function sessionWindow(config: DaemonConfig): Window {
  const byQuic = config.quic.settings.connectionWindowBytes;
  const byWebSocket = config.wss.sessionWindowBytes;
  const quic = { bytes: byQuic, because: `${formatByteSize(byQuic)} (quic.connectionWindow)` };
  const wss = { bytes: byWebSocket, because: `${formatByteSize(byWebSocket)} (wss.sessionWindow)` };
  if (!carries(config, "wss")) return quic;
  return carries(config, "quic") && quic.bytes >= wss.bytes ? quic : wss;
}

/** With quiche, whose streams add up, what the network can bring before all strangers are refused is less than what they may send. */
function ofStrangerSessions(config: DaemonConfig & { readonly role: "relay" }): MemoryItem {
  const what = "sessions of strangers until they are refused";
  const window = sessionWindow(config);
  const byWindow = mostStrangers * window.bytes;
  if (possibleEngines(config).includes("quiche")) {
    const { connectionBytes: bytes } = sessionBounds("quiche", config.quic.settings);
    const { tipDeadline } = config.limits;
    const brought = Math.ceil((tipDeadline / 1_000) * networkBytesPerSecond);
    if (mostStrangers * bytes > byWindow && brought > byWindow) {
      const time = `${formatMillis(tipDeadline)} (limits.tipDeadline)`;
      return {
        what,
        bytes: brought,
        because: `${time} x 10 Gbit/s; quiche has no window of a session`,
      };
    }
  }
  return { what, bytes: byWindow, because: `${mostStrangers} x ${window.because}` };
}

function carries(config: DaemonConfig, transport: "quic" | "wss"): boolean {
  // A link has the bounds of a WebSocket.
  if (config.role !== "relay") {
    const { transports } = config;
    return transports.some((name) => (name === "norouter" ? "wss" : name) === transport);
  }
  const { web, listen, links } = config;
  return (transport === "quic" ? listen : [...web.https, ...web.plain, ...links]).length > 0;
}

/** A connection's tip while it is read, and what Node holds of two streams below their high-water marks. */
const connectionBytes = tipDefaults.maxTipBytes + 4 * 64 * 1024;
/** What a stream of a link keeps until it is acknowledged, before its writer must wait. */
const linkSendBytes = 2 * 1024 * 1024;
/** A TLS 1.3 handshake with its certificates, transport state included: an estimate, generously rounded up. */
const handshakeBytes = 128 * 1024;
/** Sessions of unknown keys that a relay keeps at a time, each for a few seconds. */
const mostStrangers = 256;
/** A fast network, 10 Gbit/s. */
const networkBytesPerSecond = 1_250_000_000;
