import { mapOf, listOf } from "./collection-kinds.ts";
import {
  commonSchema,
  dialingSchema,
  limitKind,
  quicSchema,
  waitDuration,
} from "./common-schema.ts";
import { tcpListenKind } from "./address-kinds.ts";
import { configDefaults } from "./defaults.ts";
import { nameKind, serviceNameKind, serviceTargetKind } from "./forward-kinds.ts";
import { required, withDefault } from "./kind.ts";
import { allowRuleKind } from "./rule-kinds.ts";
import { orOff } from "./scalar-kinds.ts";

/** The keys of an end-server proxy's configuration. */
export function serverSchema(file: string) {
  return {
    ...commonSchema("server", file),
    ...dialingSchema(),
    name: required(nameKind, "The name under which the relay knows this server."),
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
