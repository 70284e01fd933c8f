import { quicDefaults } from "@culvert/quic";
import type { Millis } from "@culvert/runtime";
import { listOf } from "./collection-kinds.ts";
import { configDefaults } from "./defaults.ts";
import { withDefault, type ValuesOf } from "./kind.ts";
import type { Place } from "./place.ts";
import { choiceKind, countKind, sizeKind } from "./scalar-kinds.ts";

/** What carries the session to a relay of ours: dialled by QUIC or WebSocket, or over our own standard input and output. */
export type TransportName = "quic" | "wss" | "norouter";

/** Bounds of a session by WebSocket; times are those of QUIC. */
export interface WssSettings {
  /** Most bytes the peer may send on one stream ahead of its reader. */
  readonly streamWindowBytes: number;
  /** Received and unread bytes of all streams beyond which the socket is not read. */
  readonly sessionWindowBytes: number;
  /** Streams the peer may have open at a time. */
  readonly maxStreams: number;
  /** Silence after which a ping is sent. */
  readonly keepAlive: Millis;
  /** Silence after which a session is dead. */
  readonly idleTimeout: Millis;
  /** The longest time for TLS, WebSocket and the proof of identity together. */
  readonly handshakeTimeout: Millis;
}

const norouterDoc = "norouter, alone, is for culvert agent --stdio, which a link starts";

/** The key `transports` of a client. */
export function clientTransports() {
  return withDefault(
    listOf(choiceKind(["quic", "wss", "norouter"]), 2),
    configDefaults.transports,
    `What may carry the session: quic (UDP), wss (WebSocket over TLS, where UDP is blocked), or both; ${norouterDoc}.`,
  );
}

/** The key `transports` of a server, which may be the device of a Telebit relay too. */
export function serverTransports() {
  return withDefault(
    listOf(choiceKind(["quic", "wss", "norouter", "telebit"]), 3),
    configDefaults.transports,
    `What may carry the session: quic (UDP), wss (WebSocket over TLS, where UDP is blocked), or both; ${norouterDoc}; telebit attaches to a Telebit relay, alone or besides.`,
  );
}

/** The keys of `wss`, which every daemon has. */
export function wssSchema() {
  return {
    streamWindow: withDefault(
      sizeKind({ min: 64 * 1024, max: 64 * 1024 * 1024 }),
      configDefaults.wssStreamWindow,
      "How far a peer may send ahead of one connection's reader, by WebSocket.",
    ),
    sessionWindow: withDefault(
      sizeKind({ min: 64 * 1024, max: 1024 * 1024 * 1024 }),
      configDefaults.wssSessionWindow,
      "How far a peer may send ahead of all readers of a session by WebSocket.",
    ),
    maxStreams: withDefault(
      countKind({ min: 1, max: 1_000_000 }),
      String(quicDefaults.maxStreams),
      "Streams that a peer may have open at a time, by WebSocket.",
    ),
  };
}

/** What the WebSocket transport takes, from the keys of `wss` and the times of `quic`. */
export function wssSettings(
  { streamWindow, sessionWindow, maxStreams }: ValuesOf<ReturnType<typeof wssSchema>>,
  times: Pick<WssSettings, "keepAlive" | "idleTimeout" | "handshakeTimeout">,
): WssSettings {
  const { keepAlive, idleTimeout, handshakeTimeout } = times;
  return Object.freeze({
    streamWindowBytes: streamWindow,
    sessionWindowBytes: sessionWindow,
    maxStreams,
    keepAlive,
    idleTimeout,
    handshakeTimeout,
  });
}

/** Notes windows of WebSocket sessions that do not fit together. */
export function checkWss(
  {
    streamWindow,
    sessionWindow,
  }: { streamWindow: number | undefined; sessionWindow: number | undefined },
  place: Place,
): void {
  if (streamWindow === undefined || sessionWindow === undefined || streamWindow <= sessionWindow)
    return;
  place
    .key("sessionWindow")
    .note(
      `expected at least wss.streamWindow (${streamWindow} bytes), found ${sessionWindow} bytes`,
    );
}

/** Notes an empty list of transports, and what is named twice. */
export function checkTransports(transports: readonly string[] | undefined, place: Place): void {
  if (transports === undefined) return;
  if (transports.length === 0) place.note("expected at least one transport, found none");
  if (transports.includes("norouter") && transports.some((name) => isDialled(name))) {
    place.note(
      "norouter is a session that a link has begun, and goes with no transport that dials",
    );
  }
  for (const [index, name] of transports.entries()) {
    if (transports.indexOf(name) < index) place.entry(index).note(`${name} is named already`);
  }
}

/** Whether a transport dials the relay, and needs to know where it is. */
export function isDialled(transport: string): boolean {
  return transport === "quic" || transport === "wss";
}
