import { mapOf, listOf } from "./collection-kinds.ts";
import { tcpListenKind } from "./address-kinds.ts";
import { commonSchema, limitKind, quicSchema, waitDuration } from "./common-schema.ts";
import { configDefaults } from "./defaults.ts";
import { maybeDialingSchema } from "./dialing-schema.ts";
import { exposeKind, exposeTargetKind, telebitRelayKind } from "./expose-kinds.ts";
import { nameKind, serviceNameKind, serviceTargetKind } from "./forward-kinds.ts";
import { optional, required, withDefault } from "./kind.ts";
import { proxyChoiceKind } from "./proxy-kind.ts";
import { allowRuleKind } from "./rule-kinds.ts";
import { orOff, pathKind } from "./scalar-kinds.ts";
import { serverTransports } from "./transport-schema.ts";

/** The keys of an end-server proxy's configuration. */
export function serverSchema(file: string) {
  return {
    ...commonSchema("server", file),
    ...maybeDialingSchema(),
    name: required(nameKind, "The name under which the relay knows this server."),
    transports: serverTransports(),
    services: withDefault(
      mapOf(serviceNameKind, serviceTargetKind, 256),
      "{}",
      "Named services and where they are: host:port, or unix:/path.",
    ),
    allow: withDefault(
      listOf(allowRuleKind, 1_000),
      "[]",
      "Other addresses that clients may ask for, by host or network and ports; nothing else is dialled.",
    ),
    expose: withDefault(
      listOf(exposeKind, 256),
      "[]",
      "What is public through the relay: name or port, to, tls (relay, pass or local), certFile, keyFile, proxyProtocol (off or v2), forwardedFor, ssh.",
    ),
    telebit: {
      relay: optional(
        telebitRelayKind,
        "The Telebit relay that the transport telebit attaches to.",
      ),
      tokenFile: optional(pathKind, "The file with the token (JWT) for it."),
      caFile: optional(pathKind, "PEM certificates trusted for it instead of the system's."),
      proxy: withDefault(
        proxyChoiceKind,
        "auto",
        "The HTTP proxy through which it is reached by CONNECT.",
      ),
      ssh: withDefault(
        orOff(exposeTargetKind),
        "off",
        "Where ssh goes that is found inside TLS or on a public port, or off.",
      ),
    },
    connectTimeout: withDefault(
      waitDuration,
      configDefaults.serverConnectTimeout,
      "How long dialling a target may take.",
    ),
    admin: {
      listen: withDefault(
        orOff(tcpListenKind),
        configDefaults.proxyAdmin,
        "TCP address of /metrics, /healthz and /readyz, or off.",
      ),
    },
    quic: quicSchema(),
    limits: {
      connections: withDefault(
        limitKind,
        configDefaults.connections,
        "Forwarded connections in all.",
      ),
    },
  };
}
