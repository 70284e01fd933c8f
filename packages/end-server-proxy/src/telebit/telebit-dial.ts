import { get as getPlain } from "node:http";
import { get as getSecure } from "node:https";
import type { LookupFunction, Socket } from "node:net";
import { errorText, TransportError, type Clock } from "@culvert/runtime";
import { WebSocketCarrier, type Carrier } from "@culvert/transport";
import { WebSocket } from "ws";
import {
  discoveryPath,
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
}

/** Asks a Telebit relay where its WebSocket is, and opens it. Each call asks anew, since relays move. */
export async function dialTelebit(
  clock: Clock,
  { relay, ca }: TelebitDialOptions,
  signal: AbortSignal,
): Promise<Carrier> {
  const document = await fetchDocument(relay, ca, signal);
  signal.throwIfAborted();
  return openWebSocket(clock, endpointOf(relay, document), ca, signal);
}

/** The discovery document; undefined where the relay has none or it is no JSON. */
function fetchDocument(
  { tls, host, port }: TelebitRelayPlace,
  ca: string | undefined,
  signal: AbortSignal,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const path = discoveryPath;
    const options = { host, port, path, signal, agent: false as const, ...lookupOf(host) };
    const request = tls
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
  signal: AbortSignal,
): Promise<Carrier> {
  const url = endpointUrl(endpoint);
  const webSocket = new WebSocket(url, {
    perMessageDeflate: false,
    maxPayload: maxMessageBytes,
    followRedirects: false,
    ...(ca === undefined ? {} : { ca }),
    ...lookupOf(endpoint.host),
  });
  return new Promise((resolve, reject) => {
    let socket: Socket | undefined;
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
    webSocket.once("upgrade", (response) => (socket = response.socket));
    webSocket.once("open", () => {
      settle();
      if (socket === undefined) return;
      const remote = `${endpoint.host}:${endpoint.port}`;
      resolve(new WebSocketCarrier(webSocket, { clock, socket, remote }));
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

const loopback = [
  { address: "127.0.0.1", family: 4 },
  { address: "::1", family: 6 },
];
const maxDocumentBytes = 64 * 1024;
/** Largest message of a relay: one read of a client's socket, with room. */
const maxMessageBytes = 16 * 1024 * 1024;
