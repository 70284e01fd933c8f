import type { Millis } from "@culvert/runtime";
import type { HostPort } from "./address-kinds.ts";
import { checkQuic } from "./cross-checks.ts";
import { quicConfig, type LogConfig, type QuicConfig } from "./common-schema.ts";
import type { LinkConfig } from "./link-kinds.ts";
import { load, type Sources } from "./load.ts";
import type { Place } from "./place.ts";
import { relaySchema, type GrantConfig, type PeerConfig } from "./relay-schema.ts";
import type { PortRange } from "./rule-kinds.ts";
import { checkWss, wssSettings, type WssSettings } from "./transport-schema.ts";
import { checkAcme, checkPublic, checkRelayListeners } from "./web-checks.ts";
import type { CertificateFiles, PublicNameConfig, PublicPortConfig } from "./web-schema.ts";

/** The relay's TCP listeners and its certificates. */
export interface WebConfig {
  readonly https: readonly HostPort[];
  readonly http: readonly HostPort[];
  readonly plain: readonly HostPort[];
  /** The relay's own DNS names. */
  readonly names: readonly string[];
  readonly certificates: readonly CertificateFiles[];
  /** Undefined = off. */
  readonly acme: AcmeConfig | undefined;
  /** Connections that are not yet known to be for anybody, over all listeners. */
  readonly maxHandshakes: number;
}

/** Where certificates come from by ACME (RFC 8555). */
export interface AcmeConfig {
  /** The URL of the directory. */
  readonly directory: string;
  readonly email: string | undefined;
  /** Absolute. */
  readonly stateDir: string;
}

/** A relay that serves Telebit devices. */
export interface TelebitRelayConfig {
  /** Absolute. */
  readonly secretFile: string;
  readonly domains: readonly string[];
  readonly ports: readonly PortRange[];
}

/** The complete configuration of a relay; frozen. */
export interface RelayConfig {
  readonly role: "relay";
  /** The file it was read from, absolute. */
  readonly file: string;
  readonly identity: { readonly keyFile: string };
  readonly listen: readonly HostPort[];
  readonly peers: readonly PeerConfig[];
  readonly grants: readonly GrantConfig[];
  /** Each names a peer. */
  readonly links: readonly LinkConfig[];
  /** `listen` undefined = no admin server. */
  readonly admin: { readonly listen: HostPort | undefined };
  readonly control: { readonly socket: string };
  readonly quic: QuicConfig;
  readonly wss: WssSettings;
  readonly web: WebConfig;
  readonly public: {
    readonly names: readonly PublicNameConfig[];
    readonly ports: readonly PublicPortConfig[];
  };
  /** The relay as a Telebit relay; undefined = off. */
  readonly telebit: TelebitRelayConfig | undefined;
  readonly limits: {
    readonly sessions: number;
    readonly transientSessionsPerPeer: number;
    readonly connectionsPerClient: number;
    readonly connectionsPerServer: number;
    readonly publicConnections: number;
    readonly tipDeadline: Millis;
    readonly connectTimeout: Millis;
  };
  readonly drain: Millis;
  readonly log: LogConfig;
  /** The whole of it in the file's words, secrets redacted. */
  readonly effective: Readonly<Record<string, unknown>>;
}

/**
 * Reads the configuration of a relay.
 * @throws ConfigError `unreadable_file`, or `bad_config` listing everything that is wrong.
 */
export function loadRelayConfig(sources: Sources): RelayConfig {
  const { values, effective, file } = load(
    "relay",
    relaySchema(sources.file),
    sources,
    (sound, root, problems) => {
      const parsed = problems.snapshot();
      const { peers = [], grants = [], quic, wss } = sound;
      // Where an entry is unsound the others have moved, and what is said of them would mislead.
      if (!problems.touch("peers")) {
        checkPeers(peers, root);
        if (!problems.touch("grants")) checkGrants(peers, grants, root);
        if (!problems.touch("links")) checkLinks(peers, sound.links ?? [], root);
      }
      checkRelayListeners(sound, root, parsed);
      if (!parsed.touch("peers")) checkPublic(sound, root, parsed);
      checkAcme(sound, root, parsed);
      checkQuic(quic, root.key("quic"));
      checkWss(wss, root.key("wss"));
    },
  );
  const { agreeTos, ...acme } = values.web.acme;
  const { secretFile, domains, ports = [] } = values.telebit;
  return Object.freeze({
    ...values,
    role: "relay",
    file,
    quic: quicConfig(values.quic),
    wss: wssSettings(values.wss, values.quic),
    web: Object.freeze({ ...values.web, acme: agreeTos ? Object.freeze(acme) : undefined }),
    telebit: secretFile === undefined ? undefined : Object.freeze({ secretFile, domains, ports }),
    effective,
  });
}

function checkPeers(peers: readonly PeerConfig[], root: Place): void {
  const names = new Map<string, number>();
  const ids = new Map<string, number>();
  for (const [index, { name, id }] of peers.entries()) {
    const place = root.key("peers").entry(index);
    const sameName = names.get(name);
    const sameId = ids.get(id);
    if (sameName !== undefined)
      place.key("name").note(`${name} is the name of peers[${sameName}] too`);
    else names.set(name, index);
    if (sameId !== undefined) place.key("id").note(`${id} is the id of peers[${sameId}] too`);
    else ids.set(id, index);
  }
}

function checkLinks(peers: readonly PeerConfig[], links: readonly LinkConfig[], root: Place): void {
  for (const [index, { name }] of links.entries()) {
    const place = root.key("links").entry(index).key("name");
    if (!peers.some((peer) => peer.name === name)) place.note(`no peer is named ${name}`);
    const first = links.findIndex((link) => link.name === name);
    if (first < index) place.note(`${name} is the name of links[${first}] too`);
  }
}

function checkGrants(
  peers: readonly PeerConfig[],
  grants: readonly GrantConfig[],
  root: Place,
): void {
  const roles = new Map(peers.map(({ name, role }) => [name, role]));
  for (const [index, grant] of grants.entries()) {
    const place = root.key("grants").entry(index);
    for (const role of ["client", "server"] as const) {
      const name = grant[role];
      if (name === "*") continue;
      const found = roles.get(name);
      if (found === undefined) place.key(role).note(`no peer is named ${name}`);
      else if (found !== role) place.key(role).note(`${name} is a ${found}, not a ${role}`);
    }
  }
}
