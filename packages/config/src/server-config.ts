import type { PeerId } from "@culvert/identity";
import type { Millis } from "@culvert/runtime";
import type { HostPort } from "./address-kinds.ts";
import { checkQuic, checkReconnect } from "./cross-checks.ts";
import { quicConfig, type LogConfig, type QuicConfig } from "./common-schema.ts";
import type { ServiceTarget } from "./forward-kinds.ts";
import { load, type Sources } from "./load.ts";
import type { AllowRule } from "./rule-kinds.ts";
import { serverSchema } from "./server-schema.ts";

/** The complete configuration of an end-server proxy; frozen. */
export interface ServerConfig {
  readonly role: "server";
  /** The file it was read from, absolute. */
  readonly file: string;
  readonly name: string;
  readonly identity: { readonly keyFile: string };
  readonly relay: { readonly address: HostPort; readonly id: PeerId };
  readonly services: ReadonlyMap<string, ServiceTarget>;
  readonly allow: readonly AllowRule[];
  readonly connectTimeout: Millis;
  /** `listen` undefined = no admin server. */
  readonly admin: { readonly listen: HostPort | undefined };
  readonly control: { readonly socket: string };
  readonly quic: QuicConfig;
  readonly limits: { readonly connections: number };
  readonly reconnect: { readonly first: Millis; readonly cap: Millis };
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
    ({ quic, reconnect }, root) => {
      checkQuic(quic, root.key("quic"));
      checkReconnect(reconnect, root.key("reconnect"));
    },
  );
  return Object.freeze({
    ...values,
    role: "server",
    file,
    quic: quicConfig(values.quic),
    effective,
  });
}
