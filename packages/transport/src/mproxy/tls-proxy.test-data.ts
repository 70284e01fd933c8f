import { once } from "node:events";
import { connect as connectNet, createServer, type AddressInfo, type Socket } from "node:net";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import { webcrypto } from "node:crypto";
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import type { HostPort } from "../host-port.ts";

/** A certificate that signs itself and the key of it, PEM; trusted where it is given as an authority. */
export interface TestCertificate {
  readonly cert: string;
  readonly key: string;
}

/** A certificate for names and addresses of tests. */
export async function certificateFor(...hosts: readonly string[]): Promise<TestCertificate> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const names = hosts.map(
    (value) => ({ type: /^[\d.]+$/.test(value) ? "ip" : "dns", value }) as const,
  );
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=test",
    notBefore: new Date(Date.now() - 86_400_000),
    notAfter: new Date(Date.now() + 86_400_000),
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    keys,
    extensions: [new x509.SubjectAlternativeNameExtension(names)],
  });
  const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    cert: certificate.toString("pem"),
    key: x509.PemConverter.encode(pkcs8, "PRIVATE KEY"),
  };
}

/** Something that listens on a free port of this machine. */
export interface TestServer {
  readonly address: HostPort;
  close(): Promise<void>;
}

/** Ends TLS and passes the bytes on to `target`, over TLS again or in clear. Keeps what it saw of the bytes towards `target`. */
export async function tlsEndingProxy(
  target: HostPort,
  options: TestCertificate & { readonly onwards: "tls" | "clear" },
): Promise<TestServer & { readonly seen: () => string; readonly serverNames: string[] }> {
  const seen: Buffer[] = [];
  const serverNames: string[] = [];
  const server = createTlsServer({ cert: options.cert, key: options.key }, (near) => {
    serverNames.push(near.servername === false ? "" : (near.servername ?? ""));
    const to = { host: target.host, port: target.port };
    const far =
      options.onwards === "tls" ? connectTls({ ...to, rejectUnauthorized: false }) : connectNet(to);
    near.on("data", (bytes: Buffer) => seen.push(bytes));
    for (const [from, into] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on("error", () => into.destroy());
      from.on("close", () => into.destroy());
      from.pipe(into);
    }
  });
  return { ...(await listening(server)), seen: () => String(Buffer.concat(seen)), serverNames };
}

/** Listens, and answers whoever connects with `serve`. */
export async function tcpServer(serve: (socket: Socket) => void): Promise<TestServer> {
  return listening(createServer(serve));
}

async function listening(server: ReturnType<typeof createServer>): Promise<TestServer> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: { host: "127.0.0.1", port: (server.address() as AddressInfo).port },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
