import type { ByteStream } from "@culvert/runtime";
import type { ServiceTarget } from "./allow-list.ts";
import { dialTcp } from "./dial-tcp.ts";
import { dialUnix } from "./dial-unix.ts";
import type { DialLimits } from "./dial.ts";

/**
 * Connects to a local service that the configuration names; nobody else has a say in it.
 * @throws as `dial`.
 */
export function dialService(to: ServiceTarget, limits: DialLimits): Promise<ByteStream> {
  if (to.kind === "unix") return dialUnix({ ...limits, path: to.path });
  const { host, port } = to;
  // Never asked of a resolver (RFC 6761 §6.3).
  const addresses = /^(?:.*\.)?localhost$/i.test(host) ? ["127.0.0.1", "::1"] : undefined;
  return dialTcp({ ...limits, host, port, addresses });
}
