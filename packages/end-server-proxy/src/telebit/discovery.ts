import { isIP } from "node:net";

/** A Telebit relay as the configuration names it. */
export interface TelebitRelayPlace {
  readonly tls: boolean;
  readonly host: string;
  readonly port: number;
}

/** Where devices open their WebSocket. */
export interface TelebitEndpoint extends TelebitRelayPlace {
  readonly path: string;
}

/** Where a relay says where its WebSocket is, below its root. */
export const discoveryPath = "/_apis/telebit.cloud/index.json";

/**
 * Reads a discovery document, of any shape: what is missing or makes no sense is as if it were not said, as with the real
 * client, which then dials the root of the relay. Never gives up TLS where the configuration has it. Pure.
 */
export function endpointOf(relay: TelebitRelayPlace, document: unknown): TelebitEndpoint {
  const { api_host: apiHost, tunnel } = object(document);
  const { method, pathname } = object(tunnel);
  const said = typeof apiHost === "string" ? hostPattern.exec(apiHost) : null;
  const [, name = ":hostname", port] = said ?? [];
  const path = typeof pathname === "string" && /^[\w./~%-]{0,200}$/.test(pathname) ? pathname : "";
  return {
    tls: relay.tls || method === "wss",
    host: name === ":hostname" ? relay.host : name,
    // The real client would forget a port that is not said; whoever configured one means it.
    port: port === undefined ? relay.port : Number(port),
    path: `/${path.replace(/^\/+/, "")}`,
  };
}

/** The address of an endpoint: `wss://telebit.example.com/`. */
export function endpointUrl(endpoint: TelebitEndpoint): string {
  const { tls, path } = endpoint;
  return `${tls ? "wss" : "ws"}://${endpointAuthority(endpoint)}${path}`;
}

/** A place as Host and URLs name it: the port only where it is not the usual one. */
export function endpointAuthority({ tls, host, port }: TelebitRelayPlace): string {
  const name = isIP(host) === 6 ? `[${host}]` : host;
  return port === (tls ? 443 : 80) ? name : `${name}:${port}`;
}

function object(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

/** `:hostname` stands for the name the document was asked of. */
const hostPattern =
  /^(:hostname|(?=.{1,253}(?::|$))[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::([1-9]\d{0,4}))?$/;
