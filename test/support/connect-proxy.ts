import { once } from "node:events";
import { createServer } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

/** An HTTP proxy that connects to one port of this machine whatever it is asked for, and what it was asked. */
export async function useConnectProxy(
  leadsTo: number,
): Promise<{ port: number; asked: { target: string | undefined; authorization: unknown }[] }> {
  const asked: { target: string | undefined; authorization: unknown }[] = [];
  const server = createServer();
  server.on("connect", (request, socket, head) => {
    asked.push({ target: request.url, authorization: request.headers["proxy-authorization"] });
    const there = connect(leadsTo, "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      there.write(head);
      there.pipe(socket).pipe(there);
    });
    for (const each of [there, socket])
      each.on("error", () => there.destroy(void socket.destroy()));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, asked };
}
