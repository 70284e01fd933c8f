import type { Page, PageHandler, PageRequest } from "../web/upgrade-handler.ts";

/**
 * Answers the documents by which Telebit clients find a relay's WebSocket: the Node client reads the first path and forgets the port
 * it came by, so it is said again where it is not 443; the Go client reads the second. Neither document offers pairing by e-mail
 * (`pair_request`), so that a client asks its user for a token; one that asks to be paired all the same, as an older document or its
 * configuration may have told it, hears why it is not.
 */
export function discoveryPages(): PageHandler {
  return (request) => {
    const path = /^[^?#]*/.exec(request.url ?? "")?.[0] ?? "";
    if (path === pairingPath) return page(501, { error: noPairing });
    if (!documentPaths.includes(path)) return undefined;
    if (request.method !== "GET" && request.method !== "HEAD") {
      return page(405, { error: { message: "GET it", code: "E_METHOD" } });
    }
    const port = portOf(request);
    const apiHost = port === undefined ? ":hostname" : `:hostname:${port}`;
    return page(200, { api_host: apiHost, tunnel: { method: "wss", pathname: "" } });
  };
}

function page(status: number, body: unknown): Page {
  return { status, contentType: "application/json", body: `${JSON.stringify(body)}\n` };
}

/** The port the client reached us by, as it says itself: before a proxy or a port mapping it is not our listener's. */
function portOf({ headers, socket }: PageRequest): number | undefined {
  const said = /:([0-9]{1,5})$/.exec(headers.host ?? "")?.[1];
  const port = headers.host === undefined ? socket.localPort : Number(said ?? httpsPort);
  return port === httpsPort || port === 0 ? undefined : port;
}

const documentPaths: readonly string[] = [
  "/_apis/telebit.cloud/index.json",
  "/.well-known/telebit.app/index.json",
];
const pairingPath = "/api/telebit.cloud/pair_request";
const noPairing = {
  code: "E_NO_PAIRING",
  message:
    "This relay sends no e-mail and pairs nobody by it: ask whoever runs it for a token, which culvert token makes.",
};
const httpsPort = 443;
