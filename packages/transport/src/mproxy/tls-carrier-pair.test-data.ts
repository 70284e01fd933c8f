import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type TLSSocket } from "node:tls";
import { systemClock } from "@culvert/runtime";
import { StreamCarrier } from "./stream-carrier.ts";
import { certificateFor } from "./tls-proxy.test-data.ts";

/** Two carriers over one TLS 1.3 connection on loopback; the first dialled. */
export async function tlsCarrierPair(): Promise<readonly [StreamCarrier, StreamCarrier]> {
  const certificate = await certificateFor("127.0.0.1");
  const server = createServer({ ...certificate, minVersion: "TLSv1.3" });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "secureConnection");
  const { port } = server.address() as AddressInfo;
  const near = connect({ host: "127.0.0.1", port, ca: certificate.cert });
  await once(near, "secureConnect");
  const [far] = (await accepted) as [TLSSocket];
  // No others; it closes with its last connection.
  server.close();
  return [carrierOf(near), carrierOf(far)];
}

function carrierOf(socket: TLSSocket): StreamCarrier {
  socket.setNoDelay(true);
  const remote = `${String(socket.remoteAddress)}:${String(socket.remotePort)}`;
  const options = { clock: systemClock, kind: "tls", remote } as const;
  return new StreamCarrier({ readable: socket, writable: socket }, options);
}
