import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { connect, type AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import type { HostPort } from "../host-port.ts";
import type { TestServer } from "./tls-proxy.test-data.ts";

/** A {@link connectProxy} and what it was asked. */
export interface ConnectProxy extends TestServer {
  readonly asked: { readonly target: string; readonly authorization: string | undefined }[];
}

/** An HTTP proxy that connects to the targets it knows. */
export async function connectProxy(
  targets: Readonly<Record<string, HostPort>>,
): Promise<ConnectProxy> {
  const asked: ConnectProxy["asked"] = [];
  const server = createServer();
  const sockets = new Set<Duplex>();
  server.on("connect", (request: IncomingMessage, near: Duplex, head: Buffer) => {
    const target = request.url ?? "";
    asked.push({ target, authorization: request.headers["proxy-authorization"] });
    const { host, port } = targets[target] ?? { host: "127.0.0.1", port: 0 };
    const far = connect({ host, port }, () => {
      near.write("HTTP/1.1 200 Connection established\r\n\r\n");
      far.write(head);
      near.pipe(far).pipe(near);
    });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: { host: "127.0.0.1", port: (server.address() as AddressInfo).port },
    asked,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
