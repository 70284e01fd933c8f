import type { Millis } from "@culvert/runtime";
import type { HostPort } from "./address-kinds.ts";
import { checkQuic, checkReconnect } from "./cross-checks.ts";
import { quicConfig, type LogConfig, type QuicConfig } from "./common-schema.ts";
import { checkServer } from "./server-checks.ts";
import { relayTarget, type ReconnectConfig, type RelayTarget } from "./dialing-schema.ts";
import type { ExposeConfig, ExposeTarget, TelebitRelayAddress } from "./expose-kinds.ts";
import type { ServiceTarget } from "./forward-kinds.ts";
import { load, type Sources } from "./load.ts";
import type { ProxyChoice } from "./proxy-kind.ts";
import type { AllowRule } from "./rule-kinds.ts";
import { serverSchema } from "./server-schema.ts";
import {
  checkTransports,
  checkWss,
  wssSettings,
  type TransportName,
  type WssSettings,
} from "./transport-schema.ts";

/** A server as the device of a Telebit relay. */
export interface TelebitDeviceConfig {
  readonly relay: TelebitRelayAddress;
  /** Absolute. */
  readonly tokenFile: string;
  /** PEM file of trusted certificates, absolute; undefined = the system's. */
  readonly caFile: string | undefined;
  /** How to get out to it. */
  readonly proxy: ProxyChoice;
  /** Where ssh goes that is found inside TLS or on a public port. */
  readonly ssh: ExposeTarget | undefined;
}

/** The complete configuration of an end-server proxy; frozen. */
export interface ServerConfig {
  readonly role: "server";
  /** The file it was read from, absolute. */
  readonly file: string;
  readonly name: string;
  readonly identity: { readonly keyFile: string };
  /** The relay of ours; undefined where the server is the device of a Telebit relay alone. */
  readonly relay: RelayTarget | undefined;
  /** What may carry the session to the relay of ours; empty exactly where there is none. */
  readonly transports: readonly TransportName[];
  /** The Telebit relay to attach to, or undefined. */
  readonly telebit: TelebitDeviceConfig | undefined;
  readonly services: ReadonlyMap<string, ServiceTarget>;
  readonly allow: readonly AllowRule[];
  readonly expose: readonly ExposeConfig[];
  readonly connectTimeout: Millis;
  /** `listen` undefined = no admin server. */
  readonly admin: { readonly listen: HostPort | undefined };
  readonly control: { readonly socket: string };
  readonly quic: QuicConfig;
  readonly wss: WssSettings;
  readonly limits: { readonly connections: number };
  readonly reconnect: ReconnectConfig;
  readonly drain: Millis;
  readonly log: LogConfig;
  /** The whole of it in the file's words, secrets redacted. */
  readonly effective: Readonly<Record<string, unknown>>;
}

/**
 * Reads the configuration of an end-server proxy.
 * @throws ConfigError `unreadable_file`, or `bad_config` listing everything that is wrong.
 */
export function loadServerConfig(sources: Sources): ServerConfig {
  const { values, effective, file } = load(
    "server",
    serverSchema(sources.file),
    sources,
    (sound, root, problems) => {
      checkQuic(sound.quic, root.key("quic"));
      checkWss(sound.wss, root.key("wss"));
      checkReconnect(sound.reconnect, root.key("reconnect"));
      checkTransports(sound.transports, root.key("transports"));
      checkServer(sound, root, problems);
    },
  );
  const { address, id, ...byWebSocket } = values.relay;
  const { relay, tokenFile, ...device } = values.telebit;
  return Object.freeze({
    ...values,
    role: "server",
    file,
    transports: Object.freeze(values.transports.filter((name) => name !== "telebit")),
    relay: id === undefined ? undefined : relayTarget({ address, id, ...byWebSocket }),
    telebit:
      relay === undefined || tokenFile === undefined
        ? undefined
        : Object.freeze({ relay, tokenFile, ...device }),
    quic: quicConfig(values.quic),
    wss: wssSettings(values.wss, values.quic),
    effective,
  });
}
