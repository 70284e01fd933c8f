import type { HostPort } from "./address-kinds.ts";
import { tcpListenKind } from "./address-kinds.ts";
import { entryOf, listOf } from "./collection-kinds.ts";
import { limitKind } from "./common-schema.ts";
import { configDefaults } from "./defaults.ts";
import { dnsNameKind, dnsPatternKind } from "./dns-name-kinds.ts";
import { nameKind } from "./forward-kinds.ts";
import { absentAs, optional, withDefault, type Kind } from "./kind.ts";
import { portRangesKind } from "./rule-kinds.ts";
import { booleanKind, choiceKind, pathKind } from "./scalar-kinds.ts";

/** A certificate chain and its key, PEM files, absolute paths. */
export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** Public names that a server may expose. */
export interface PublicNameConfig {
  readonly server: string;
  /** Names, or `*.` and a name for all below it; lower case. */
  readonly names: readonly string[];
  /** Whether the relay ends TLS, with a certificate it has or gets, or passes it through to the server unread. */
  readonly tls: "end" | "pass";
  /** Whether plain HTTP is forwarded too or sent to https. */
  readonly http: "redirect" | "forward";
}

/** A public TCP port that a server may expose. */
export interface PublicPortConfig {
  readonly server: string;
  readonly listen: HostPort;
}

/** The keys of `web`: the relay's TCP listeners. */
export function webSchema() {
  return {
    https: withDefault(
      listOf(tcpListenKind, 16),
      "[]",
      "TCP addresses for TLS: sessions by WebSocket, and public names by SNI.",
    ),
    http: withDefault(
      listOf(tcpListenKind, 16),
      "[]",
      "TCP addresses for plain HTTP: public names by Host, answers to ACME, and redirection to https.",
    ),
    plain: withDefault(
      listOf(tcpListenKind, 16),
      "[]",
      "TCP addresses for sessions by WebSocket without TLS, behind a proxy that ends it (relay.behindProxy of the others).",
    ),
    names: withDefault(
      listOf(dnsNameKind, 100),
      "[]",
      "The relay's own DNS names. Without any, sessions and Telebit devices come by every name that nobody serves, with pages 404.",
    ),
    certificates: withDefault(
      listOf(entryOf<CertificateFiles>({ certFile: pathKind, keyFile: pathKind }), 1_000),
      "[]",
      "PEM certificates and keys for the relay's names and the public ones; without any, one made from its identity.",
    ),
    acme: {
      directory: withDefault(
        webUrlKind,
        configDefaults.acmeDirectory,
        "The ACME server that is asked for certificates.",
      ),
      email: optional(emailKind, "Where the ACME server may write to."),
      stateDir: withDefault(
        pathKind,
        configDefaults.acmeStateDir,
        "The folder of the ACME account and the certificates it gave.",
      ),
      agreeTos: withDefault(
        booleanKind,
        "false",
        "Whether you agree to the ACME server's terms; true turns ACME on.",
      ),
    },
    maxHandshakes: withDefault(
      limitKind,
      configDefaults.webHandshakes,
      "Connections at these listeners that are not yet known to be for anybody; more are dropped.",
    ),
  };
}

/** The keys of `public`: what the internet reaches. */
export function publicSchema() {
  return {
    names: withDefault(
      listOf(
        entryOf<PublicNameConfig>({
          server: nameKind,
          names: listOf(dnsPatternKind, 1_000),
          tls: absentAs("end", choiceKind(["end", "pass"])),
          http: absentAs("redirect", choiceKind(["redirect", "forward"])),
        }),
        10_000,
      ),
      "[]",
      "Public DNS names and the servers that may expose them: server, names, tls (end or pass), http (redirect or forward).",
    ),
    ports: withDefault(
      listOf(
        entryOf<PublicPortConfig>({
          server: nameKind,
          listen: tcpListenKind,
        }),
        1_000,
      ),
      "[]",
      "Public TCP ports and the servers that may expose them: server, listen.",
    ),
  };
}

/** The keys of `telebit`: the relay as a Telebit relay. */
export function telebitRelaySchema() {
  return {
    secretFile: optional(
      pathKind,
      "The file with the secret that signs Telebit tokens (HS256); naming it turns the Telebit relay on.",
    ),
    domains: withDefault(
      listOf(dnsPatternKind, 1_000),
      "[]",
      "The names that Telebit tokens may be for.",
    ),
    ports: optional(portRangesKind, "The public TCP ports that Telebit tokens may be for."),
  };
}

/** An `http` or `https` URL. */
const webUrlKind: Kind<string> = {
  expected: "a URL such as https://acme.example.com/directory",
  parse(raw, place) {
    const url = typeof raw === "string" && URL.canParse(raw) ? new URL(raw) : undefined;
    return url !== undefined && /^https?:$/.test(url.protocol) && url.username === ""
      ? url.href
      : place.fail(webUrlKind.expected, raw);
  },
  print: (value) => value,
};

const emailKind: Kind<string> = {
  expected: "an e-mail address such as admin@example.com",
  parse: (raw, place) =>
    typeof raw === "string" && /^[\x21-\x3f\x41-\x7e]{1,64}@[a-z0-9.-]{1,253}$/i.test(raw)
      ? raw
      : place.fail(emailKind.expected, raw),
  print: (value) => value,
};
