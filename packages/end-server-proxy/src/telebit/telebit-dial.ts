import { get as getPlain } from "node:http";
import { get as getSecure } from "node:https";
import type { LookupFunction } from "node:net";
import type { Duplex } from "node:stream";
import { errorText, TransportError, type Clock } from "@culvert/runtime";
import {
  connectOverTls,
  connectTcp,
  connectThroughProxy,
  UpgradedWebSocket,
  WebSocketCarrier,
  type Carrier,
  type HostPort,
  type HttpProxy,
} from "@culvert/transport";
import type { ClientOptions } from "ws";
import {
  discoveryPath,
  endpointAuthority,
  endpointOf,
  endpointUrl,
  type TelebitEndpoint,
  type TelebitRelayPlace,
} from "./discovery.ts";

/** Whom to dial. */
export interface TelebitDialOptions {
  readonly relay: TelebitRelayPlace;
  /** Certificate authorities instead of the system's, PEM. */
  readonly ca?: string | undefined;
  /** The HTTP proxy through which a host is reached, which may differ for where the relay's WebSocket is; undefined = straight. */
  readonly proxyOf?: ((target: HostPort) => HttpProxy | undefined) | undefined;
}

/** Asks a Telebit relay where its WebSocket is, and opens it. Each call asks anew, since relays move. */
export async function dialTelebit(
  clock: Clock,
  options: TelebitDialOptions,
  signal: AbortSignal,
): Promise<Carrier> {
  const document = await fetchDocument(
    options.relay,
    options.ca,
    await wayThroughProxy(options.relay, options, signal),
    signal,
  );
  signal.throwIfAborted();
  const endpoint = endpointOf(options.relay, document);
  const way = await wayThroughProxy(endpoint, options, signal);
  return openWebSocket(clock, endpoint, options.ca, way, signal);
}

/** A connection to a place through the proxy that leads there, TLS spoken already; undefined where it is dialled straight. */
async function wayThroughProxy(
  place: TelebitRelayPlace,
  { proxyOf, ca }: TelebitDialOptions,
  signal: AbortSignal,
): Promise<Duplex | undefined> {
  const { tls, host, port } = place;
  const proxy = proxyOf?.({ host, port });
  if (proxy === undefined) return undefined;
  const socket = await connectTcp(proxy.address, signal);
  const way = await connectThroughProxy(socket, proxy, { host, port }, signal);
  return tls ? connectOverTls(way, { host, verify: true, ca, minVersion: "TLSv1.2" }, signal) : way;
}

/** The discovery document; undefined where the relay has none or it is no JSON. */
function fetchDocument(
  place: TelebitRelayPlace,
  ca: string | undefined,
  way: Duplex | undefined,
  signal: AbortSignal,
): Promise<unknown> {
  const { tls, host, port } = place;
  return new Promise((resolve, reject) => {
    const path = discoveryPath;
    const options = {
      ...{ host, port, path, signal, ...lookupOf(host) },
      setHost: false,
      headers: { host: endpointAuthority(place), connection: "close" },
      // An agent, even none at all, would dial by itself.
      ...(way === undefined ? { agent: false as const } : { createConnection: () => way }),
    };
    const overTls = tls && way === undefined;
    const request = overTls
      ? getSecure({ ...options, ...(ca === undefined ? {} : { ca }) })
      : getPlain(options);
    request.on("error", (cause) => {
      reject(new TransportError("dial_failed", `${host}: ${errorText(cause)}`, { cause }));
    });
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on("error", () => resolve(undefined));
      response.on("data", (chunk: Buffer) => {
        length += chunk.length;
        if (length <= maxDocumentBytes) chunks.push(chunk);
        else request.destroy();
      });
      response.on("close", () => {
        resolve(response.complete && response.statusCode === 200 ? parse(chunks) : undefined);
      });
    });
  });
}

function parse(chunks: readonly Buffer[]): unknown {
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    return undefined;
  }
}

function openWebSocket(
  clock: Clock,
  endpoint: TelebitEndpoint,
  ca: string | undefined,
  way: Duplex | undefined,
  signal: AbortSignal,
): Promise<Carrier> {
  const url = endpointUrl(endpoint);
  const webSocket = new UpgradedWebSocket(url, {
    perMessageDeflate: false,
    maxPayload: maxMessageBytes,
    followRedirects: false,
    ...(ca === undefined ? {} : { ca }),
    ...lookupOf(endpoint.host),
    ...(way === undefined ? {} : { createConnection: (() => way) as unknown as CreateConnection }),
  });
  return new Promise((resolve, reject) => {
    const settle = (): void => signal.removeEventListener("abort", onAbort);
    const onAbort = (): void => {
      webSocket.terminate();
      reject(new TransportError("aborted", `dialling ${url}: aborted`));
    };
    signal.addEventListener("abort", onAbort, { once: true });
    // Stays, so that no error between two owners goes unheard.
    webSocket.on("error", (cause) => {
      settle();
      reject(new TransportError("dial_failed", `${url}: ${errorText(cause)}`, { cause }));
    });
    webSocket.once("open", () => {
      settle();
      const remote = `${endpoint.host}:${endpoint.port}`;
      resolve(new WebSocketCarrier(webSocket, { clock, remote }));
    });
  });
}

/** Names of this machine itself are asked of no resolver (RFC 6761 §6.3). */
function lookupOf(host: string): { readonly lookup?: LookupFunction } {
  if (!/^(?:.*\.)?localhost$/i.test(host)) return {};
  return {
    lookup: (_name, { all }, done) => {
      if (all === true) done(null, loopback);
      else done(null, "127.0.0.1", 4);
    },
  };
}

type CreateConnection = NonNullable<ClientOptions["createConnection"]>;
const loopback = [
  { address: "127.0.0.1", family: 4 },
  { address: "::1", family: 6 },
];
const maxDocumentBytes = 64 * 1024;
/** Largest message of a relay: one read of a client's socket, with room. */
const maxMessageBytes = 16 * 1024 * 1024;
