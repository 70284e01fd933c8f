/** The TCP server behind the forwarders, a process of its own: sends back what it gets on the port given as the argument. */
import { createServer } from "node:net";

const server = createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => undefined);
  socket.pipe(socket);
});
server.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4_096 });
process.stdin.on("end", () => process.exit(0)).resume();
