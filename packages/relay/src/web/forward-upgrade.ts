import {
  request as httpRequest,
  STATUS_CODES,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import type { Duplex } from "node:stream";
import { splice, TransportError, type ByteStream, type Clock, type Millis } from "@culvert/runtime";
import type { Exchange } from "./exchange.ts";
import { responseFields, type HeaderFields } from "./forwarded-headers.ts";
import { deviceFields, finalStatus, type ForwardOutcome } from "./forward-request.ts";

/** A WebSocket that wants to be opened: the request, and the client's side of it. */
export interface Upgrade {
  readonly exchange: Exchange;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The client's socket, decrypted where TLS is ended here. */
  readonly socket: Duplex;
  /** What came behind the request. */
  readonly head: Buffer;
  /** To be called once the socket is no HTTP any more: it may be silent from then on. */
  readonly opened: () => void;
}

/**
 * Asks a device to open a WebSocket on a stream of its own, and joins the two when it agrees; where it refuses, its answer goes
 * to the client. Takes the stream. A device that says neither within `limit` has failed. Resolves when all is over.
 */
export function forwardUpgrade(
  upgrade: Upgrade,
  stream: ByteStream,
  { clock, limit }: { readonly clock: Clock; readonly limit: Millis },
): Promise<ForwardOutcome> {
  const { exchange, socket, head, opened } = upgrade;
  return new Promise((resolve) => {
    const fields = deviceFields(exchange);
    fields["connection"] = "Upgrade";
    fields["upgrade"] = "websocket";
    const request = httpRequest({
      // Without an agent: one would dial by itself.
      createConnection: () => stream,
      method: "GET",
      path: exchange.target,
      headers: fields,
      setHost: false,
    });
    // Node's own time-outs of requests end with an upgrade.
    const timer = clock.setTimer(limit, () => {
      request.destroy(new TransportError("timeout", "the device does not answer"));
    });
    request.on("error", (error) => {
      timer.cancel();
      stream.destroy();
      resolve({ status: undefined, error });
    });
    request.once("upgrade", (response, upgraded, deviceHead) => {
      const answer = responseFields(response.rawHeaders);
      delete answer["content-length"];
      answer["connection"] = "Upgrade";
      answer["upgrade"] = "websocket";
      timer.cancel();
      opened();
      socket.write(responseHead(101, answer));
      if (deviceHead.length > 0) upgraded.unshift(deviceHead);
      if (head.length > 0) socket.unshift(head);
      void splice(socket, upgraded).then(({ failure }) => {
        resolve({ status: 101, error: failure?.error });
      });
    });
    request.once("response", (response) => {
      timer.cancel();
      const status = finalStatus(response);
      if (status === undefined) {
        request.destroy(new Error(`the device answers with status ${response.statusCode}`));
        return;
      }
      const sink = exchange.respond(status, responseFields(response.rawHeaders), false);
      response.pipe(sink);
      response.once("close", () => {
        stream.destroy();
        if (!response.complete) exchange.abort();
        resolve({ status, error: undefined });
      });
    });
    exchange.onClose((whole) => {
      if (!whole) stream.destroy();
    });
    request.end();
  });
}

/** Whether a request asks for a WebSocket in the one form there is (RFC 6455 §4.1), and brings no body to smuggle. */
export function isWebSocket({ method, headers }: IncomingMessage): boolean {
  return (
    method === "GET" &&
    headers.upgrade?.toLowerCase() === "websocket" &&
    headers["sec-websocket-key"] !== undefined &&
    !hasBody(headers)
  );
}

/** Whether a request announces a body. */
export function hasBody(headers: IncomingMessage["headers"]): boolean {
  const length = headers["content-length"];
  return headers["transfer-encoding"] !== undefined || (length !== undefined && length !== "0");
}

function responseHead(status: number, fields: HeaderFields): string {
  const lines = Object.entries(fields).flatMap(([name, value]) =>
    [value].flat().map((one) => `${name}: ${one}\r\n`),
  );
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${lines.join("")}\r\n`;
}
