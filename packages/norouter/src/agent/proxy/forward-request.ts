import { request, type IncomingMessage, type ServerResponse } from "node:http";
import { connect as connectTls } from "node:tls";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { TransportError, type ByteStream, type Clock } from "@culvert/runtime";
import { agentDefaults } from "../agent-defaults.ts";
import { watchBody } from "./body-deadline.ts";
import { endToEndHeaders, valuesOf, withHost } from "./proxy-headers.ts";
import type { RequestTarget } from "./proxy-target.ts";

/** Where a request goes and who is told if it does not get there. */
export interface ForwardOptions {
  readonly clock: Clock;
  readonly target: RequestTarget;
  readonly dial: () => Promise<ByteStream>;
  /** Told of the first failure; answers the client, with this status, as far as that is still possible. */
  readonly onError: (error: unknown, status: 408 | 500) => void;
}

/** Forwards one request over a connection of its own, and its answer back. Never rejects. */
export async function forwardRequest(
  req: IncomingMessage,
  res: ServerResponse,
  { clock, target, dial, onError }: ForwardOptions,
): Promise<void> {
  let stream: ByteStream;
  try {
    stream = await dial();
  } catch (error) {
    onError(error, 500);
    return;
  }
  stream.on("error", () => undefined);
  if (res.destroyed) {
    stream.destroy();
    return;
  }
  const upstream = request({
    createConnection: () => overTls(stream, target),
    method: req.method,
    path: target.path,
    headers: [...requestHeaders(req, target), "Connection", "close"],
  });
  res.once("close", () => {
    if (!res.writableFinished) {
      upstream.destroy();
      return;
    }
    // The other end closes first, as it was told; to close with its last bytes unread would be a reset.
    const timer = clock.setTimer(agentDefaults.lingerTimeout, () => stream.destroy());
    stream.once("close", () => timer.cancel());
  });
  let failureStatus: 408 | 500 = 500;
  upstream.on("error", (error) => {
    stream.destroy();
    onError(error, failureStatus);
  });
  // The connection serves nothing else.
  upstream.on("close", () => stream.destroy());
  upstream.on("continue", () => res.writeContinue());
  upstream.on("response", (answer) => {
    try {
      res.sendDate = false;
      const { statusCode = 0, statusMessage, rawHeaders } = answer;
      res.writeHead(statusCode, statusMessage, endToEndHeaders(rawHeaders, false));
    } catch (error) {
      // Node reads more than it writes: statuses below 100, control characters in the phrase behind them.
      upstream.destroy(error instanceof Error ? error : undefined);
      return;
    }
    answer.on("error", (error) => res.destroy(error));
    answer.pipe(res);
  });
  // The client may wait for a "100 Continue" before it sends what would carry the head along.
  upstream.flushHeaders();
  req.on("error", (error) => upstream.destroy(error));
  req.pipe(upstream);
  watchBody(clock, { req, upstream }, () => {
    failureStatus = 408;
    upstream.destroy(new TransportError("timeout", "the body of the request came too slowly"));
  });
}

/** The stream itself, or TLS on it where the target asks for it. */
export function overTls(stream: ByteStream, { isTls, host }: RequestTarget): Duplex {
  if (!isTls) return stream;
  const servername = isIP(host) === 0 ? host : "";
  return connectTls({ socket: stream, host, servername, ALPNProtocols: ["http/1.1"] });
}

/** The headers of a request as they go on. A request that has no body is to have none behind the proxy either. */
export function requestHeaders(req: IncomingMessage, target: RequestTarget): string[] {
  const headers = withHost(endToEndHeaders(req.rawHeaders, true), target.hostHeader);
  const hasFraming = ["content-length", "transfer-encoding"].some(
    (name) => valuesOf(req.rawHeaders, name).length > 0,
  );
  const mayHaveBody = !["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"].includes(req.method ?? "");
  return hasFraming || !mayHaveBody ? headers : [...headers, "Content-Length", "0"];
}
