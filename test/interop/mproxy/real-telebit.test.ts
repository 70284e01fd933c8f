import { createHash, createSecretKey, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { mintToken } from "@culvert/relay/telebit";
import { systemClock } from "@culvert/runtime";
import { describe, expect, it, onTestFailed, onTestFinished } from "vitest";
import { culvert } from "../../support/culvert.ts";
import { Daemon } from "../../support/daemon.ts";
import { freePort } from "../../support/ports.ts";
import { makeCertificate } from "../../support/public-entrance.ts";
import { connectTcp, readExactly } from "../../support/tcp.ts";
import { endWithTest, useTempFolder } from "../../support/temp-folder.ts";
import { waitUntil, within } from "../../support/wait.ts";
import { checkout, RealProgram, scriptPath } from "./real-program.ts";
import { collect, TelebitBench } from "./telebit-bench.ts";

const telebit = checkout("TELEBIT_CHECKOUT", "the real Telebit client");

describe.skipIf(telebit === undefined)("the real Telebit client at our relay", () => {
  interface ClientSettings {
    readonly token: string;
    readonly servernames?: Readonly<Record<string, { readonly handler: string }>>;
    readonly ports?: Readonly<Record<string, { readonly handler: string }>>;
    readonly sshAuto?: number;
  }

  /** The real client as a library, connected and with its grant. */
  async function client(bench: TelebitBench, settings: ClientSettings): Promise<RealProgram> {
    const { pem } = await makeCertificate(["a.example.com"]);
    const program = new RealProgram([scriptPath("real-client.mjs")], {
      REAL_CLIENT: JSON.stringify({
        relay: `ws://127.0.0.1:${bench.port("plain")}`,
        sshAuto: 0,
        servernames: {},
        ports: {},
        tls: { key: pem.privateKeyPem, cert: pem.certificatePem },
        ...settings,
      }),
    });
    await program.reported("connected");
    await program.reported("grant");
    return program;
  }

  it("gets its grant, and serves a TCP port both ways", async () => {
    const bench = await TelebitBench.start();
    const port = bench.firstPort;
    const local = await listen((socket) => socket.pipe(socket));
    const token = await bench.token(["a.example.com"], [port]);
    const program = await client(bench, { token, ports: { [port]: { handler: String(local) } } });
    expect(program.reports.find(({ event }) => event === "grant")?.value).toEqual([
      ["ssh+https", "a.example.com", 443],
      ["ssh", "localhost", [port]],
      ["tcp", "localhost", [port]],
      ["https", "a.example.com"],
    ]);
    const visitor = await bench.client(port);
    const got = collect(visitor);
    visitor.write("hello");
    await waitUntil("the echo", () => got.text === "hello");
    visitor.end(" and bye");
    await waitUntil("the end", () => got.ended, { withinMs: 10_000 });
  });

  it("gets an upload whole, though it comes in quick pieces before the client can dial", async () => {
    const bench = await TelebitBench.start();
    const port = bench.firstPort;
    const hash = createHash("sha256");
    const seen = { bytes: 0, connections: 0 };
    const local = await listen((socket) => {
      seen.connections += 1;
      socket.on("data", (chunk: Buffer) => {
        hash.update(chunk);
        seen.bytes += chunk.length;
        if (seen.bytes === upload.length) socket.end("got it");
      });
    });
    const upload = randomBytes(8 * 1024 * 1024);
    const token = await bench.token([], [port]);
    const program = await client(bench, {
      token,
      ports: { [port]: { handler: String(local) } },
    });
    const visitor = await bench.client(port);
    const got = collect(visitor);
    // Whatever the relay sends now, the client will read at once.
    program.child.signal("SIGSTOP");
    for (let sent = 0; sent < 4_000; sent += 100) {
      visitor.write(upload.subarray(sent, sent + 100));
      await new Promise((resolve) => setImmediate(resolve));
    }
    program.child.signal("SIGCONT");
    visitor.write(upload.subarray(4_000));
    await waitUntil("the answer", () => got.text === "got it", { withinMs: 20_000 });
    expect(seen).toEqual({ bytes: upload.length, connections: 1 });
    expect(hash.digest("hex")).toBe(createHash("sha256").update(upload).digest("hex"));
  });

  it("sends a large download to a slow reader whole", async () => {
    const bench = await TelebitBench.start();
    const port = bench.firstPort;
    const download = randomBytes(24 * 1024 * 1024);
    const sending: Socket[] = [];
    const local = await listen((socket) => {
      sending.push(socket);
      socket.end(download);
    });
    const token = await bench.token([], [port]);
    const program = await client(bench, { token, ports: { [port]: { handler: String(local) } } });
    const visitor = await bench.client(port);
    visitor.write("please");
    visitor.pause();
    // The reader holds the relay, the relay the client by a pause, and the client the service.
    let waiting = 0;
    let same = 0;
    await waitUntil("a service that has to wait", () => {
      const now = sending[0]?.writableLength ?? 0;
      same = now === waiting && now > 0 ? same + 1 : 0;
      waiting = now;
      return same === 10;
    });
    expect(waiting).toBeGreaterThan(1024 * 1024);
    await waitUntil("the client's word of its pause", () =>
      program.lines.some((line) => line.includes("[TunnelPause]")),
    );
    const hash = createHash("sha256");
    let bytes = 0;
    visitor.on("data", (chunk: Buffer) => {
      hash.update(chunk);
      bytes += chunk.length;
    });
    visitor.resume();
    await waitUntil("all of it", () => bytes >= download.length, { withinMs: 30_000 });
    expect(hash.digest("hex")).toBe(createHash("sha256").update(download).digest("hex"));
  });

  it("survives ssh at a port with its ssh sniffing on, and a server that speaks first without", async () => {
    const bench = await TelebitBench.start();
    const port = bench.firstPort;
    const sshd = await listen((socket) => {
      socket.write("SSH-2.0-local\r\n");
      socket.pipe(socket);
    });
    const smtp = await listen((socket) => socket.write("220 ready\r\n"));
    const sniffing = await client(bench, {
      token: await bench.token([], [port]),
      sshAuto: sshd,
      ports: { [port]: { handler: String(smtp) } },
    });
    const ssh = await bench.client(port);
    const banner = collect(ssh);
    ssh.write("SSH-2.0-visitor\r\n");
    await waitUntil("the banner", () => banner.text.startsWith("SSH-2.0-local"));
    const quick = await bench.client(port);
    const greeting = collect(quick);
    quick.write("EHLO\r\n");
    await waitUntil("the greeting", () => greeting.text.startsWith("220 ready"));
    expect(sniffing.child.running).toBe(true);
    const plain = await TelebitBench.start();
    await client(plain, {
      token: await plain.token([], [plain.firstPort]),
      ports: { [plain.firstPort]: { handler: String(smtp) } },
    });
    const silent = collect(await plain.client(plain.firstPort));
    await waitUntil("the greeting", () => silent.text.startsWith("220 ready"));
  });

  it("ends TLS and serves a web application by name", async () => {
    const bench = await TelebitBench.start();
    const local = await listenOn(
      createHttpServer((request, response) => {
        let bytes = 0;
        request.on("data", (chunk: Buffer) => (bytes += chunk.length));
        request.on("end", () =>
          response.end(`${request.method ?? ""} ${request.url ?? ""} ${bytes}`),
        );
      }),
    );
    await client(bench, {
      token: await bench.token(["a.example.com"]),
      servernames: { "a.example.com": { handler: String(local) } },
    });
    for (let visit = 0; visit < 3; visit += 1) {
      const visitor = await bench.tlsClient("a.example.com");
      expect(visitor.getPeerCertificate().subject.CN).toBe("test");
      const got = collect(visitor);
      const body = "b".repeat(300_000);
      visitor.write(
        `POST /x HTTP/1.1\r\nhost: a.example.com\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
      );
      await waitUntil("the answer", () => got.text.endsWith("POST /x 300000"), {
        withinMs: 10_000,
      });
    }
  });
});

describe.skipIf(telebit === undefined)("the real Telebit daemon at our relay", () => {
  it("finds the relay, is granted, and serves by name and by port", async () => {
    const folder = await useTempFolder();
    const certificate = await makeCertificate(["localhost"], { folder });
    const httpsPort = await freePort();
    const bench = await TelebitBench.start({ httpsPort, certificate });
    const port = bench.firstPort;
    const app = await listenOn(createHttpServer((_request, response) => response.end("the app")));
    const echo = await listen((socket) => socket.pipe(socket));
    const name = "a.example.com";
    const home = join(folder, "home");
    const config = join(home, ".config/telebit");
    const live = join(config, "acme/live", name);
    await mkdir(live, { recursive: true });
    await mkdir(join(home, ".local/share/telebit/var/run"), { recursive: true });
    const own = await makeCertificate([name], { days: 90 });
    for (const [file, text] of Object.entries({
      "privkey.pem": own.pem.privateKeyPem,
      "cert.pem": own.pem.certificatePem,
      "chain.pem": own.pem.certificatePem,
      "fullchain.pem": own.pem.certificatePem,
    })) {
      await writeFile(join(live, file), text);
    }
    await writeFile(
      join(config, "telebitd.yml"),
      `email: me@example.com
agree_tos: true
relay: https://localhost:${httpsPort}/
token: ${await bench.token([name], [port])}
ssh_auto: false
servernames:
  ${name}:
    handler: '${app}'
ports:
  '${port}':
    handler: '${echo}'
`,
    );
    const daemon = new RealProgram(
      [
        "--import",
        scriptPath("real-daemon-preload.mjs"),
        join(telebit ?? "", "bin/telebitd.js"),
        "--config",
        join(config, "telebitd.yml"),
      ],
      { HOME: home, NODE_EXTRA_CA_CERTS: certificate.certFile },
      folder,
    );
    await waitUntil("the grant", () => bench.entrance.names.next(name)?.device.connected, {
      withinMs: 30_000,
    });
    const visitor = await bench.tlsClient(name, {
      ca: own.pem.certificatePem,
      rejectUnauthorized: true,
    });
    const got = collect(visitor);
    visitor.write(`GET / HTTP/1.1\r\nhost: ${name}\r\nconnection: close\r\n\r\n`);
    await waitUntil("the page", () => got.text.endsWith("the app"), { withinMs: 10_000 });
    const other = await bench.client(port);
    const echoed = collect(other);
    other.write("hello");
    await waitUntil("the echo", () => echoed.text === "hello");
    expect(daemon.child.running).toBe(true);
  });
});

const telebitRelay = checkout("TELEBIT_RELAY_CHECKOUT", "the real Telebit relay");

describe.skipIf(telebitRelay === undefined)("culvert server at the real Telebit relay", () => {
  it("is granted by its token, and serves by name and by port", async () => {
    const folder = await useTempFolder();
    const at = (file: string): string => join(folder, file);
    const name = "a.example.com";
    const port = await freePort();
    const certificate = await makeCertificate([name], { folder });
    const secret = "a secret of the real relay's own";
    const relay = new RealProgram([scriptPath("real-relay.mjs")], {
      REAL_RELAY: JSON.stringify({
        secret,
        key: certificate.pem.privateKeyPem,
        cert: certificate.pem.certificatePem,
      }),
    });
    const ports = (await relay.reported("listening")) as Readonly<
      Record<"devices" | "https" | "http", number>
    >;
    const nowMs = systemClock.wallNowMs();
    const token = await mintToken(createSecretKey(Buffer.from(secret)), {
      scope: { domains: [name], ports: [port] },
      nowMs,
      expiresAtMs: nowMs + 3_600_000,
      audience: undefined,
    });
    const app = await listenOn(createHttpServer((_request, response) => response.end("the app")));
    const echo = await listen((socket) => socket.pipe(socket));
    await culvert(["key", "generate", at("server.key")]);
    await writeFile(at("token"), token, { mode: 0o600 });
    await writeFile(
      at("server.yaml"),
      JSON.stringify({
        role: "server",
        name: "box",
        identity: { keyFile: at("server.key") },
        transports: ["telebit"],
        telebit: { relay: `http://127.0.0.1:${ports.devices}`, tokenFile: at("token") },
        expose: [
          {
            name,
            to: `127.0.0.1:${app}`,
            tls: "local",
            certFile: certificate.certFile,
            keyFile: certificate.keyFile,
          },
          { port, to: `127.0.0.1:${echo}` },
        ],
        admin: { listen: "off" },
        control: { socket: at("server.sock") },
      }),
    );
    const server = new Daemon("server", at("server.yaml"), { cwd: folder });
    endWithTest(server.child);
    onTestFailed(() => {
      console.error(server.log());
    });
    await server.ready();
    for (let visit = 0; visit < 3; visit += 1) {
      const visitor = await useTls(ports.https, name, certificate.pem.certificatePem);
      const got = collect(visitor);
      visitor.write(`GET / HTTP/1.1\r\nhost: ${name}\r\nconnection: close\r\n\r\n`);
      await waitUntil("the page", () => got.text.endsWith("the app"));
    }
    const other = await connectTcp(port);
    onTestFinished(() => void other.destroy());
    // The real relay knows no half-close: an end would cost the echo.
    const upload = randomBytes(8 * 1024 * 1024);
    other.write(upload);
    const echoed = await readExactly(other, upload.length, 20_000, "the echo");
    expect(echoed.equals(upload)).toBe(true);
  });
});

async function useTls(port: number, servername: string, ca: string): Promise<TLSSocket> {
  const socket = connectTls({ host: "127.0.0.1", port, servername, ca });
  socket.on("error", () => undefined);
  onTestFinished(() => void socket.destroy());
  await within(5_000, "TLS", once(socket, "secureConnect"));
  return socket;
}

async function listen(serve: (socket: Socket) => void): Promise<number> {
  return listenOn(
    createServer((socket) => {
      socket.on("error", () => undefined);
      serve(socket);
    }),
  );
}

async function listenOn(server: Server): Promise<number> {
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      resolve();
    });
  });
  onTestFinished(() => void server.close());
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("not bound");
  return address.port;
}
