import { basename, dirname, extname, join, resolve } from "node:path";
import { largestDatagramBytes, quicDefaults, type QuicSettings } from "@culvert/quic";
import { errorText, millis, type Millis } from "@culvert/runtime";
import { logLevels, statusAddress, type LogFormat, type LogLevel } from "@culvert/telemetry";
import { configDefaults } from "./defaults.ts";
import { optional, required, withDefault, type Field, type Kind, type ValuesOf } from "./kind.ts";
import {
  booleanKind,
  choiceKind,
  countKind,
  durationKind,
  orAuto,
  pathKind,
  sizeKind,
} from "./scalar-kinds.ts";

/** Which daemon a configuration is for. */
export type Role = "relay" | "server" | "client";

/** QUIC as a daemon's session layer takes it. */
export interface QuicConfig {
  /** Which engine, and what it may do. */
  readonly policy: {
    readonly engine: "auto" | "quiche" | "quinn";
    /** Undefined = chosen by address. */
    readonly datagramBytes: number | undefined;
    readonly allowQuicheListener: boolean;
  };
  readonly settings: QuicSettings;
}

/** How a daemon logs. */
export interface LogConfig {
  readonly level: LogLevel;
  readonly format: LogFormat;
}

/** Time from nothing to a day; waits in between are the operator's own affair. */
export const anyDuration: Kind<Millis> = durationKind({ min: millis(0), max: millis(86_400_000) });
/** A wait that must have a length. */
export const waitDuration: Kind<Millis> = durationKind({ min: millis(10), max: millis(3_600_000) });

/** A number of things that a daemon holds. */
export const limitKind: Kind<number> = countKind({ min: 1, max: 1_000_000 });

/** The keys that every daemon has. */
export function commonSchema(role: Role, file: string) {
  return {
    role: optional(
      choiceKind([role]),
      "Which daemon this file is for; not needed to start it, but it catches a mixed-up file.",
    ),
    identity: {
      keyFile: required(pathKind, "The file with this process's private key, mode 0600."),
    },
    control: {
      socket: withDefault(
        socketKind,
        defaultSocket(file),
        "The Unix socket where culvert status asks; beside this file unless given.",
      ),
    },
    drain: withDefault(
      anyDuration,
      configDefaults.drain,
      "How long connections may go on after SIGTERM or Ctrl-C.",
    ),
    log: {
      level: withDefault(
        choiceKind(logLevels),
        configDefaults.logLevel,
        "The least grave events that are written.",
      ),
      format: withDefault(
        choiceKind<LogFormat>(["auto", "pretty", "json"]),
        configDefaults.logFormat,
        "pretty for eyes, json for machines; auto is pretty on a terminal.",
      ),
    },
  };
}

/** The keys of `quic` that every daemon has. */
export function quicSchema() {
  return {
    engine: withDefault(
      choiceKind(["auto", "quiche", "quinn"]),
      "auto",
      "auto takes quiche on loopback addresses and quinn elsewhere, where its addon loads.",
    ),
    datagramBytes: withDefault(
      orAuto(sizeKind({ min: 1_200, max: largestDatagramBytes })),
      "auto",
      "The largest UDP payload of the quiche engine; auto is 16383 on loopback, 1350 elsewhere.",
    ),
    handshakeTimeout: ofQuic(waitDuration, "handshakeTimeout", "The longest handshake."),
    idleTimeout: ofQuic(waitDuration, "idleTimeout", "Silence after which a session is dead."),
    keepAlive: ofQuic(waitDuration, "keepAlive", "Silence after which a PING is sent."),
    streamWindow: ofQuic(
      windowKind,
      "streamWindowBytes",
      "How far a peer may send ahead of one connection's reader.",
    ),
    connectionWindow: ofQuic(
      windowKind,
      "connectionWindowBytes",
      "How far a peer may send ahead of all readers of a session: the receive memory of one session.",
    ),
    maxStreams: ofQuic(
      countKind({ min: 1, max: 1_000_000 }),
      "maxStreams",
      "Streams that a peer may have open at a time.",
    ),
    socketBuffer: ofQuic(
      sizeKind({ min: 64 * 1024, max: 256 * 1024 * 1024 }),
      "socketBufferBytes",
      "UDP socket buffers asked of the kernel.",
    ),
  };
}

/** The keys of `quic` that only a listener has. */
export function quicListenerSchema() {
  return {
    ...quicSchema(),
    allowQuicheListener: withDefault(
      booleanKind,
      "false",
      "Whether the quiche engine may listen on other than loopback addresses; see SECURITY.md.",
    ),
    retryAboveHalfOpen: ofQuic(
      countKind({ min: 0, max: 1_000_000 }),
      "retryAboveHalfOpen",
      "Handshakes under way beyond which new ones must prove their address.",
    ),
    maxHalfOpen: ofQuic(
      limitKind,
      "maxHalfOpen",
      "Handshakes under way beyond which new ones are dropped.",
    ),
  };
}

/** What the session layer takes, from the keys of `quic`. */
export function quicConfig(
  values: ValuesOf<ReturnType<typeof quicSchema>> &
    Partial<ValuesOf<ReturnType<typeof quicListenerSchema>>>,
): QuicConfig {
  return Object.freeze({
    policy: Object.freeze({
      engine: values.engine,
      datagramBytes: values.datagramBytes,
      allowQuicheListener: values.allowQuicheListener ?? false,
    }),
    settings: Object.freeze({
      datagramBytes: values.datagramBytes ?? quicDefaults.datagramBytes,
      handshakeTimeout: values.handshakeTimeout,
      idleTimeout: values.idleTimeout,
      keepAlive: values.keepAlive,
      streamWindowBytes: values.streamWindow,
      connectionWindowBytes: values.connectionWindow,
      maxStreams: values.maxStreams,
      socketBufferBytes: values.socketBuffer,
      retryAboveHalfOpen: values.retryAboveHalfOpen ?? quicDefaults.retryAboveHalfOpen,
      maxHalfOpen: values.maxHalfOpen ?? quicDefaults.maxHalfOpen,
    }),
  });
}

/** Where the status socket of a configuration file stands unless it says otherwise: `relay.yaml` -> `relay.sock`. */
export function defaultSocket(file: string): string {
  const path = resolve(file);
  return join(dirname(path), `${basename(path, extname(path))}.sock`);
}

/** Where the status socket of a daemon stands that a unit of deploy/systemd runs: the unit sets it, since it may not write elsewhere. */
export function serviceSocket(role: Role): string {
  return `/run/culvert-${role}/status.sock`;
}

/** A path that a Unix socket can have. */
const socketKind: Kind<string> = {
  expected: "a path of at most 107 bytes",
  parse(raw, place) {
    const path = pathKind.parse(raw, place);
    try {
      statusAddress(path);
    } catch (error) {
      return place.reject(errorText(error).replace(/^control\.socket: /, ""));
    }
    return path;
  },
  print: (value) => value,
};

const windowKind = sizeKind({ min: 64 * 1024, max: 1024 * 1024 * 1024 });

function ofQuic<K extends keyof QuicSettings>(
  kind: Kind<QuicSettings[K]>,
  key: K,
  doc: string,
): Field<QuicSettings[K]> {
  return withDefault(kind, String(kind.print(quicDefaults[key])), doc);
}
