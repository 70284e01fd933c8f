import type { IncomingMessage, ServerResponse } from "node:http";
import type { Exchange, RequestBody } from "./exchange.ts";
import { rawValues } from "./forwarded-headers.ts";
import type { PublicClient } from "./public-client.ts";

/** Wraps a request of HTTP/1, which Node's strict parser has read. */
export function http1Exchange(
  request: IncomingMessage,
  response: ServerResponse,
  client: PublicClient,
): Exchange {
  const { authority, target, fault } = whom(request);
  return {
    client,
    method: request.method ?? "",
    target,
    authority,
    fault,
    rawFields: request.rawHeaders,
    body: bodyOf(request),
    get responded() {
      return response.headersSent;
    },
    respond(status, fields, bodyless) {
      // What follows a request that cannot be understood cannot be either.
      if (status === 400) response.shouldKeepAlive = false;
      response.writeHead(status, fields);
      if (bodyless) response.end();
      // Events and long polls have a head long before they have a body; a body that is here already goes out with it.
      else setImmediate(() => response.flushHeaders());
      return response;
    },
    onClose(callback) {
      let told = false;
      const tell = (): void => {
        if (told) return;
        told = true;
        callback(response.writableFinished);
      };
      for (const event of ["finish", "close"]) response.once(event, tell);
    },
    abort() {
      response.destroy();
      request.socket.destroy();
    },
  };
}

/** RFC 9112 §3.2: one Host; a target in absolute form names the same host as it. */
function whom(request: IncomingMessage): Pick<Exchange, "authority" | "target" | "fault"> {
  const hosts = rawValues(request.rawHeaders, "host");
  const url = request.url ?? "";
  const authority = hosts[0];
  if (hosts.length > 1) return { authority, target: url, fault: "several Hosts" };
  const coding = request.headers["transfer-encoding"];
  if (coding !== undefined && coding.toLowerCase() !== "chunked") {
    return { authority, target: url, fault: "a transfer coding that nobody knows" };
  }
  if (url.startsWith("/") || (url === "*" && request.method === "OPTIONS")) {
    return { authority, target: url, fault: undefined };
  }
  const [, named, path = ""] = /^https?:\/\/([^/?#]*)([^#]*)$/i.exec(url) ?? [];
  if (named === undefined) return { authority, target: url, fault: "a target of no known form" };
  const same = authority !== undefined && named.toLowerCase() === authority.toLowerCase();
  return {
    authority,
    target: path.startsWith("/") ? path : `/${path}`,
    fault: same ? undefined : "the target names another host than Host",
  };
}

function bodyOf(request: IncomingMessage): RequestBody | undefined {
  const length = request.headers["content-length"];
  const chunked = request.headers["transfer-encoding"] !== undefined;
  if (!chunked && (length === undefined || length === "0")) return undefined;
  return {
    stream: request,
    length: chunked ? undefined : length,
    get cut() {
      return !request.complete;
    },
  };
}
