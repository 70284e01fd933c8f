import type { PeerId } from "@culvert/identity";
import { tcpListenKind, udpListenKind } from "./address-kinds.ts";
import { entryOf, listOf } from "./collection-kinds.ts";
import { commonSchema, limitKind, quicListenerSchema, waitDuration } from "./common-schema.ts";
import { configDefaults } from "./defaults.ts";
import { nameKind } from "./forward-kinds.ts";
import { withDefault, type Kind } from "./kind.ts";
import { linkKind } from "./link-kinds.ts";
import { grantServiceKind } from "./rule-kinds.ts";
import { choiceKind, countKind, orOff, peerIdKind } from "./scalar-kinds.ts";
import { wssSchema } from "./transport-schema.ts";
import { publicSchema, telebitRelaySchema, webSchema } from "./web-schema.ts";

/** A peer that the relay knows. */
export interface PeerConfig {
  readonly name: string;
  readonly id: PeerId;
  readonly role: "client" | "server";
}

/** Allows a client to reach services of a server; a name or `*`. Nothing granted is nothing allowed. */
export interface GrantConfig {
  readonly client: string;
  readonly server: string;
  /** Service names, ports, ranges `8000-8100`, `host:port`, or `*`. */
  readonly services: readonly string[];
}

/** The keys of a relay's configuration. */
export function relaySchema(file: string) {
  return {
    ...commonSchema("relay", file),
    listen: withDefault(
      listOf(udpListenKind, 16),
      configDefaults.relayListen,
      "UDP addresses where clients and servers dial in.",
    ),
    peers: withDefault(
      listOf(entryOf<PeerConfig>({ name: nameKind, id: peerIdKind, role: roleKind }), 100_000),
      "[]",
      "Who may attach, by name, peer id and role.",
    ),
    grants: withDefault(
      listOf(
        entryOf<GrantConfig>({
          client: nameOrAny,
          server: nameOrAny,
          services: listOf(grantServiceKind, 1_000),
        }),
        100_000,
      ),
      "[]",
      "Which client may reach which services of which server; nothing else is allowed.",
    ),
    links: withDefault(
      listOf(linkKind, 1_000),
      "[]",
      "Peers that the relay goes to itself: name, and command, whose standard input and output lead to culvert agent --stdio there.",
    ),
    admin: {
      listen: withDefault(
        orOff(tcpListenKind),
        configDefaults.relayAdmin,
        "TCP address of /metrics, /healthz and /readyz.",
      ),
    },
    quic: quicListenerSchema(),
    wss: wssSchema(),
    web: webSchema(),
    public: publicSchema(),
    telebit: telebitRelaySchema(),
    limits: {
      sessions: withDefault(limitKind, configDefaults.sessions, "Sessions in all."),
      transientSessionsPerPeer: withDefault(
        countKind({ min: 0, max: 10_000 }),
        configDefaults.transientSessionsPerPeer,
        "One-shot sessions (culvert connect, culvert expose) of one peer beside its standing one.",
      ),
      connectionsPerClient: withDefault(
        limitKind,
        configDefaults.connections,
        "Forwarded connections of one client.",
      ),
      connectionsPerServer: withDefault(
        limitKind,
        configDefaults.connections,
        "Forwarded connections to one server.",
      ),
      publicConnections: withDefault(
        limitKind,
        configDefaults.publicConnections,
        "Connections from the internet to public names and ports, in all.",
      ),
      tipDeadline: withDefault(
        waitDuration,
        configDefaults.tipDeadline,
        "How long a peer may take to say what a stream is for.",
      ),
      connectTimeout: withDefault(
        waitDuration,
        configDefaults.relayConnectTimeout,
        "How long a server may take to answer.",
      ),
    },
  };
}

const roleKind = choiceKind(["client", "server"]);

const nameOrAny: Kind<string> = {
  expected: "a name, or * for every one",
  parse: (raw, place) => (raw === "*" ? "*" : nameKind.parse(raw, place)),
  print: (value) => value,
};
