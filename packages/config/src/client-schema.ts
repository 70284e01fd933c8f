import { tcpListenKind } from "./address-kinds.ts";
import { listOf, mapOf } from "./collection-kinds.ts";
import { commonSchema, limitKind, quicSchema, waitDuration } from "./common-schema.ts";
import { configDefaults } from "./defaults.ts";
import { dialingSchema } from "./dialing-schema.ts";
import { forwardKind, nameKind, userNameKind } from "./forward-kinds.ts";
import { optional, required, withDefault } from "./kind.ts";
import { clientLinkKind } from "./link-kinds.ts";
import { orOff, secretKind } from "./scalar-kinds.ts";
import { clientTransports } from "./transport-schema.ts";

/** The keys of a client proxy's configuration. */
export function clientSchema(file: string) {
  return {
    ...commonSchema("client", file),
    ...dialingSchema(),
    name: required(nameKind, "The name under which the relay knows this client."),
    transports: clientTransports(),
    forwards: withDefault(
      listOf(forwardKind, 1_000),
      "[]",
      "Local TCP listeners and where their connections go.",
    ),
    links: withDefault(
      listOf(clientLinkKind, 1_000),
      "[]",
      "Servers that the client goes to itself, without a relay: name, id, and command, whose standard input and output lead to culvert agent --stdio there, for which this client is the relay.",
    ),
    socks: proxySchema(
      "a SOCKS5 proxy (CONNECT) whose host names are servers, such as lan-box or lan-box.culvert",
    ),
    httpProxy: proxySchema("an HTTP proxy (CONNECT) whose host names are servers"),
    connectTimeout: withDefault(
      waitDuration,
      configDefaults.clientConnectTimeout,
      "How long the relay and the server may take to answer for a connection.",
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

function proxySchema(what: string) {
  return {
    listen: withDefault(orOff(tcpListenKind), "off", `Local TCP address of ${what}, or off.`),
    users: optional(
      mapOf(userNameKind, secretKind, 1_000),
      "Users and passwords; without any, whoever reaches the address may use it.",
    ),
  };
}
