import { parseHostPort, type ServerConfig } from "@culvert/config";
import type { ExposeRule, ServiceTarget } from "@culvert/end-server-proxy";
import { ConfigError } from "@culvert/runtime";
import { parsePublicName, quoteText } from "@culvert/wire";

/** What the command line of `culvert expose` asks for. */
export interface ExposeRequest {
  /** A port, `host:port`, `unix:/path` or a service of the server. */
  readonly service: string;
  readonly name: string | undefined;
  readonly port: number | undefined;
  readonly tls: "relay" | "pass" | "local";
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly ssh: string | undefined;
  readonly proxyProtocol: "off" | "v2";
  readonly json: boolean;
}

/**
 * The rule that a request means.
 * @throws ConfigError `bad_usage` or `bad_name`.
 */
export function ruleOf(
  request: ExposeRequest,
  { services }: Pick<ServerConfig, "services">,
): ExposeRule {
  const { name, port, tls, certFile, keyFile, ssh, proxyProtocol } = request;
  if ((name === undefined) === (port === undefined)) {
    throw new ConfigError("bad_usage", "give either --name or --port: what the internet asks for");
  }
  const hasFiles = certFile !== undefined && keyFile !== undefined;
  if (tls === "local" && !hasFiles) {
    throw new ConfigError("bad_usage", "--tls local needs --cert and --key");
  }
  if (tls !== "local" && (certFile ?? keyFile) !== undefined) {
    throw new ConfigError("bad_usage", "--cert and --key are for --tls local");
  }
  return {
    name: name === undefined ? "" : parsePublicName(name),
    port: port ?? 0,
    to: targetOf(request.service, services),
    tls,
    certificate: hasFiles ? { certFile, keyFile } : undefined,
    proxyProtocol,
    // A PROXY header says the same, and to services that are no HTTP as well.
    forwardedFor: proxyProtocol === "off",
    ssh: ssh === undefined ? undefined : targetOf(ssh, services),
  };
}

function targetOf(text: string, services: ReadonlyMap<string, ServiceTarget>): ServiceTarget {
  const service = services.get(text);
  if (service !== undefined) return service;
  if (text.startsWith("unix:/")) return { kind: "unix", path: text.slice("unix:".length) };
  const address = parseHostPort(/^\d+$/.test(text) ? `127.0.0.1:${text}` : text);
  if (address !== undefined) return { kind: "tcp", ...address };
  const known = [...services.keys()].join(", ") || "none";
  throw new ConfigError(
    "bad_usage",
    `${quoteText(text)} is no port, host:port, unix:/path or service of the server (${known})`,
  );
}
