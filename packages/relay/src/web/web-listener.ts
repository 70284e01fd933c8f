import { lookup } from "node:dns/promises";
import { createServer, isIPv6, type AddressInfo, type Socket } from "node:net";
import { errorText, systemCode, TransportError } from "@culvert/runtime";
import { formatHostPort, resolveAddresses, type HostPort } from "@culvert/transport";

/** A bound TCP address. */
export interface WebListener {
  /** What is bound: an address, and the port the system chose where 0 was asked for. */
  readonly address: HostPort;
  /** Takes no new connections; the open ones go on. Stopping twice does nothing. */
  stop(): void;
}

/**
 * Binds a TCP address. Sockets come paused, with an error listener, and keep their own direction open after the client's has
 * ended; `onSocket` owns them.
 * @throws TransportError `address_in_use`, `address_unavailable`, `name_not_found`.
 */
export async function listenWeb(
  wanted: HostPort,
  onSocket: (socket: Socket) => void,
): Promise<WebListener> {
  const [resolved] = await resolveAddresses((host) => lookup(host, { all: true }), wanted);
  const { host, port } = resolved ?? wanted;
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
  server.on("connection", (socket) => {
    socket.on("error", () => undefined);
    onSocket(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(fromListen(error, wanted)));
    // IPv4 has listeners of its own, which one at [::] is not to be in the way of.
    server.listen({ host, port, backlog: 1_024, ipv6Only: isIPv6(host) }, resolve);
  });
  // Running out of descriptors is told here, and passes.
  server.on("error", () => undefined);
  const { port: bound } = server.address() as AddressInfo;
  return {
    address: { host, port: bound },
    // The callback of close would wait for the connections.
    stop: () => void server.close(),
  };
}

function fromListen(error: Error, address: HostPort): TransportError {
  const code = systemCode(error) === "EADDRINUSE" ? "address_in_use" : "address_unavailable";
  const text = `cannot listen at ${formatHostPort(address)}: ${errorText(error)}`;
  return new TransportError(code, text, { cause: error });
}
