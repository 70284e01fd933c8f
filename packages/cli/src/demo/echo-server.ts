import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";

/** Listens on a free TCP port, tells it in one ready line, and sends back what it gets until SIGTERM or SIGINT. */
export async function runEchoServer(): Promise<void> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`ready end-server 127.0.0.1:${port}\n`);
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => process.exit(0));
}
