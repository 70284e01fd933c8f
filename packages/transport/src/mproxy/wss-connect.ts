import { once } from "node:events";
import { connect as connectNet, isIP, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { errorText, TransportError, type Clock } from "@culvert/runtime";
import type { ClientOptions } from "ws";
import { formatHostPort, type HostPort } from "../host-port.ts";
import { carrierDefaults } from "./carrier-defaults.ts";
import { UpgradedWebSocket } from "./upgraded-web-socket.ts";
import { sessionPath, sessionSubprotocol } from "./wss-names.ts";
import { WebSocketCarrier } from "./web-socket-carrier.ts";

/**
 * Connects to an IP address.
 * @throws TransportError `dial_failed` or `aborted`.
 */
export async function connectTcp(address: HostPort, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  const socket = connectNet({ host: address.host, port: address.port, noDelay: true });
  // For its whole life, whoever else listens: between two owners a failure must harm nobody.
  socket.on("error", () => undefined);
  await arrival(socket, "connect", `no connection to ${formatHostPort(address)}`, signal);
  return socket;
}

/** How TLS is spoken to a host. */
export interface TlsOptions {
  /** The name or address that is meant: for SNI where it is a name, and for the certificate where that is verified. */
  readonly host: string;
  /** Whether a certificate authority must vouch for the host; else the proof of identity is the check. */
  readonly verify: boolean;
  /** Authorities instead of the system's, PEM. */
  readonly ca?: string | undefined;
  /** Lowest version. Binding a session to TLS takes 1.3. */
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
}

/**
 * Speaks TLS over a connected socket, which is destroyed where this fails.
 * @throws TransportError `handshake_failed` or `aborted`.
 */
export async function connectOverTls(
  socket: Duplex,
  { host, verify, ca, minVersion }: TlsOptions,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const secure = connectTls({
    socket,
    host,
    // SNI is for names alone (RFC 6066 §3).
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ALPNProtocols: ["http/1.1"],
    minVersion,
    rejectUnauthorized: verify,
    ...(ca === undefined ? {} : { ca }),
  });
  secure.on("error", () => socket.destroy());
  secure.once("close", () => socket.destroy());
  await arrival(secure, "secureConnect", `no TLS with ${host}`, signal, "handshake_failed");
  return secure;
}

/** Which WebSocket is wanted. */
export interface UpgradeOptions {
  readonly clock: Clock;
  /** For the Host header: the name that is meant. */
  readonly target: HostPort;
  /** Whether the scheme is `wss`. */
  readonly tls: boolean;
  /**
   * Whether someone between may read the frames. Masks of random bits (RFC 6455 §5.3, §10.3) keep what our users send from being taken
   * for HTTP by such a one; inside TLS that ends at the peer itself there is none, and the mask is nought, which costs nothing.
   */
  readonly readBetween: boolean;
  /** Where the peer is, for logs and status. */
  readonly remote: string;
}

/**
 * Opens the WebSocket of a session over a connected socket, which is destroyed where this fails. Delivers nothing before the carrier is
 * started.
 * @throws TransportError `handshake_failed` with the answer's status, or `aborted`.
 */
export async function upgradeToWebSocket(
  socket: Duplex,
  { clock, target, tls, readBetween, remote }: UpgradeOptions,
  signal: AbortSignal,
): Promise<WebSocketCarrier> {
  signal.throwIfAborted();
  // The zone of a link-local address means nothing to others, and stands in no URL.
  const authority = formatHostPort({ ...target, host: target.host.replace(/%.*$/, "") });
  const url = `${tls ? "wss" : "ws"}://${authority}${sessionPath}`;
  const webSocket = new UpgradedWebSocket(url, [sessionSubprotocol], {
    createConnection: (() => socket) as unknown as CreateConnection,
    perMessageDeflate: false,
    maxPayload: carrierDefaults.maxMessageBytes,
    followRedirects: false,
    maxHeaderSize: maxAnswerBytes,
    ...(readBetween ? {} : { generateMask: (mask: Buffer) => void mask.fill(0) }),
  });
  return new Promise((resolve, reject) => {
    const what = `no WebSocket at ${url}`;
    const fail = (error: TransportError): void => {
      signal.removeEventListener("abort", onAbort);
      webSocket.terminate();
      socket.destroy();
      reject(error);
    };
    const onAbort = (): void => fail(aborted(what, signal));
    signal.addEventListener("abort", onAbort, { once: true });
    const onError = (cause: Error): void =>
      fail(new TransportError("handshake_failed", `${what}: ${errorText(cause)}`, { cause }));
    webSocket.on("error", onError);
    // Made in the event itself, so that what came behind the answer waits in it.
    webSocket.once("open", () => {
      signal.removeEventListener("abort", onAbort);
      const carrier = new WebSocketCarrier(webSocket, { clock, remote });
      webSocket.off("error", onError);
      resolve(carrier);
    });
  });
}

/** Waits for a stream's event; destroys the stream where it fails or the wait is aborted. */
async function arrival(
  stream: Duplex,
  event: string,
  what: string,
  signal: AbortSignal,
  code: "dial_failed" | "handshake_failed" = "dial_failed",
): Promise<void> {
  const closed = new AbortController();
  const onClose = (): void => closed.abort(new Error("the connection was closed"));
  stream.once("close", onClose);
  try {
    await once(stream, event, { signal: AbortSignal.any([signal, closed.signal]) });
  } catch (error) {
    stream.destroy();
    if (signal.aborted) throw aborted(what, signal);
    const cause: unknown = closed.signal.aborted ? closed.signal.reason : error;
    throw new TransportError(code, `${what}: ${errorText(cause)}`, { cause });
  } finally {
    stream.off("close", onClose);
  }
}

function aborted(what: string, signal: AbortSignal): TransportError {
  return new TransportError("aborted", `${what}: aborted`, { cause: signal.reason });
}

type CreateConnection = NonNullable<ClientOptions["createConnection"]>;
/** A relay's answer to an upgrade has a handful of headers; what proxies add is little. */
const maxAnswerBytes = 16 * 1024;
