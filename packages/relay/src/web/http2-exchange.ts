import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { Exchange } from "./exchange.ts";
import { rawValues, type HeaderFields } from "./forwarded-headers.ts";
import type { PublicClient } from "./public-client.ts";

/** Wraps a request of HTTP/2. `raw` is names and values in turn, pseudo-fields included. */
export function http2Exchange(
  stream: ServerHttp2Stream,
  raw: readonly string[],
  client: PublicClient,
): Exchange {
  const pseudo = (name: string): string | undefined => rawValues(raw, name)[0];
  const hosts = rawValues(raw, "host");
  const authority = pseudo(":authority") ?? hosts[0];
  // RFC 9113 §8.3.1: Host, where it is sent too, says the same.
  const agree = hosts.every((host) => host.toLowerCase() === authority?.toLowerCase());
  const target = pseudo(":path") ?? "";
  const formed = target.startsWith("/") || (target === "*" && pseudo(":method") === "OPTIONS");
  const fault = agree ? (formed ? undefined : "a path of no known form") : "Host says another name";
  return {
    client,
    method: pseudo(":method") ?? "",
    target,
    authority,
    fault,
    rawFields: raw,
    body: stream.endAfterHeaders
      ? undefined
      : {
          stream,
          length: rawValues(raw, "content-length")[0],
          get cut() {
            return stream.aborted;
          },
        },
    get responded() {
      return stream.headersSent;
    },
    respond(status, fields, bodyless) {
      if (!stream.closed) stream.respond(joined(status, fields), { endStream: bodyless });
      return stream;
    },
    onClose(callback) {
      stream.once("close", () => {
        const { aborted, writableFinished, rstCode } = stream;
        callback(!aborted && writableFinished && rstCode === constants.NGHTTP2_NO_ERROR);
      });
    },
    abort() {
      // Not close(): with data under way Node 20 then sends for ever, without a turn of the event loop.
      if (!stream.destroyed) stream.destroy(new Error("the answer was cut off"));
    },
  };
}

/** Node refuses lists for fields that should come once, which would end the whole connection. */
function joined(status: number, fields: HeaderFields): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = { ":status": status };
  for (const [name, value] of Object.entries(fields)) {
    headers[name] = Array.isArray(value) && name !== "set-cookie" ? value.join(", ") : value;
  }
  return headers;
}
