import type { RequestListener, Server } from "node:http";
import { createServer } from "node:http";

/** Makes an HTTP server for small answers, in which no caller can hold a connection, a header or a body for long. */
export function createBoundedServer(answer: RequestListener): Server {
  const server = createServer(
    {
      maxHeaderSize: 8 * 1024,
      headersTimeout: 5_000,
      requestTimeout: 5_000,
      keepAliveTimeout: 5_000,
      connectionsCheckingInterval: 1_000,
    },
    (request, response) => {
      request.on("error", () => undefined);
      response.on("error", () => undefined);
      // Bodies mean nothing here; what a caller sends of one is thrown away within the request time-out.
      request.resume();
      answer(request, response);
    },
  );
  server.maxConnections = 64;
  server.maxRequestsPerSocket = 1_000;
  // A reader that stops is cut off after this much silence.
  server.setTimeout(10_000);
  return server;
}
