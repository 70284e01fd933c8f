import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { request as httpsRequest } from "node:https";
import { createServer as createTcpServer, type AddressInfo, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { connect as connectTls } from "node:tls";
import { WebSocket, WebSocketServer } from "ws";
import { parse, stringify } from "yaml";
import { expect, it, onTestFailed, onTestFinished } from "vitest";
import { Child, run } from "./support/child.ts";
import { culvert, culvertPath } from "./support/culvert.ts";
import { startDaemon } from "./support/daemon.ts";
import { Nat } from "./support/nat.ts";
import { runNginx } from "./support/nginx.ts";
import { freePort } from "./support/ports.ts";
import { makeCertificate } from "./support/public-entrance.ts";
import { missing } from "./support/requires.ts";
import { useSshServer } from "./support/ssh-server.ts";
import { connectTcp, echoServer, readExactly } from "./support/tcp.ts";
import { endWithTest } from "./support/temp-folder.ts";
import { useTrial, type Trial } from "./support/trial.ts";
import { waitUntil, within } from "./support/wait.ts";

const name = "app.example.com";

/** `culvert expose`, and every line it said. */
class Expose {
  readonly lines: string[] = [];
  readonly errors: string[] = [];
  readonly child: Child;

  constructor(trial: Trial, args: readonly string[]) {
    const config = ["--config", trial.configFile("server")];
    this.child = new Child(process.execPath, [culvertPath, "expose", ...args, ...config]);
    createInterface(this.child.stdout).on("line", (line) => this.lines.push(line));
    createInterface(this.child.stderr).on("line", (line) => this.errors.push(line));
    endWithTest(this.child);
    onTestFailed(() => {
      console.error([...this.lines, ...this.errors].join("\n"));
    });
  }

  line(pattern: RegExp): Promise<string> {
    return waitUntil(
      String(pattern),
      () =>
        this.lines.find((line) => pattern.test(line)) ??
        (this.child.running ? false : this.#ended()),
      { withinMs: 15_000 },
    );
  }

  #ended(): never {
    throw new Error(`it ended: ${this.errors.join(" ")}`);
  }
}

/** A relay with a public entrance that gives lan-box a name and a port. */
async function usePublicTrial(
  names: readonly object[] = [{ server: "lan-box", names: [name] }],
): Promise<{ readonly trial: Trial; readonly publicPort: number }> {
  const trial = await useTrial();
  const publicPort = await freePort();
  await trial.edit("relay", (config) => {
    config["public"] = {
      names,
      ports: [{ server: "lan-box", listen: `127.0.0.1:${publicPort}` }],
    };
  });
  await trial.start(["relay"]);
  return { trial, publicPort };
}

type Answering = (request: IncomingMessage, response: ServerResponse) => void;

async function website(
  answer: Answering,
): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer(answer);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { server, port: (server.address() as AddressInfo).port };
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** What a visitor gets who comes to the relay for the name. */
function visit(trial: Trial, path: string, method = "GET", withinMs = 10_000): Promise<Answer> {
  const answer = new Promise<Answer>((resolve, reject) => {
    const request = httpsRequest(
      {
        ...{ host: "127.0.0.1", port: trial.webPort, servername: name, rejectUnauthorized: false },
        ...{ path, method, agent: false, headers: { host: name } },
      },
      (response) => {
        let text = "";
        response.on("data", (chunk: Buffer) => (text += chunk.toString()));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      },
    );
    request.on("error", reject);
    request.end();
  });
  return within(withinMs, `answer to ${path}`, answer);
}

it("makes a local web server public, shows every request, and ends with Ctrl-C", async () => {
  const { trial } = await usePublicTrial();
  const { server, port } = await website((request, response) => {
    response.statusCode = request.url === "/missing" ? 404 : 200;
    response.end(JSON.stringify(request.headers));
  });
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => {
    socket.on("message", (data) => socket.send(data, { binary: false }));
  });
  const expose = new Expose(trial, [String(port), "--name", name]);
  expect(await expose.line(/leads to/)).toBe(
    `https://${name}:${trial.webPort} leads to 127.0.0.1:${port}. Ctrl-C ends it.`,
  );

  const page = await visit(trial, "/page?q=1");
  expect(page.status).toBe(200);
  expect(JSON.parse(page.text)).toMatchObject({
    host: name,
    "x-forwarded-for": "127.0.0.1",
    "x-forwarded-proto": "https",
  });
  expect((await visit(trial, "/missing")).status).toBe(404);
  expect(await expose.line(/page/)).toMatch(/GET +200 +\d.*ms.* B +127\.0\.0\.1 +\/page\?q=1$/);
  await expose.line(/GET +404 .*\/missing$/);

  const socket = new WebSocket(`wss://127.0.0.1:${trial.webPort}/chat`, {
    // ws hands it on to tls.connect, which its types do not say.
    ...{ servername: name },
    headers: { host: name },
    rejectUnauthorized: false,
  });
  onTestFinished(() => {
    socket.terminate();
  });
  await within(5_000, "a WebSocket", once(socket, "open"));
  socket.send("hello");
  const [said] = (await within(5_000, "its answer", once(socket, "message"))) as [Buffer];
  expect(String(said)).toBe("hello");
  await expose.line(/GET +101 .*\/chat$/);

  expect(await expose.child.end("SIGINT")).toEqual({ code: 0, signal: null });
  expect(expose.lines.at(-1)).toMatch(/^closed: 3 requests, /);
  expect(expose.errors).toEqual([]);
  await waitUntil("the end of the name", async () => (await visit(trial, "/")).status === 502);
});

it("runs beside the server with the same key, and tells its requests to programs", async () => {
  const { trial } = await usePublicTrial();
  await trial.start(["server"]);
  const { port } = await website((_request, response) => response.end("hello"));
  const expose = new Expose(trial, [String(port), "--name", name, "--json"]);
  await expose.line(/"event":"open"/);
  await visit(trial, "/json", "POST");
  expect(JSON.parse(await expose.line(/"event":"request"/))).toMatchObject({
    method: "POST",
    path: "/json",
    status: 200,
    responseBytes: 5,
    remote: "127.0.0.1",
  });
  expect((await trial.status("server")).link.state).toBe("attached");
});

it("says 502 and where nothing listens, to the visitor and in the terminal", async () => {
  const { trial } = await usePublicTrial();
  const nobody = await freePort();
  const expose = new Expose(trial, [String(nobody), "--name", name]);
  await expose.line(/leads to/);
  const { status, text } = await visit(trial, "/");
  expect(status).toBe(502);
  expect(text).toContain(`Nothing answers at 127.0.0.1:${nobody}`);
  await expose.line(new RegExp(`502 .*127\\.0\\.0\\.1:${nobody} refused the connection`));
  // It is there a moment later: nothing has to be started again.
  const late = createServer((_request, response) => response.end("here now"));
  late.listen(nobody, "127.0.0.1");
  await once(late, "listening");
  onTestFinished(() => {
    late.closeAllConnections();
    late.close();
  });
  expect((await visit(trial, "/")).text).toBe("here now");
});

it("a name that is not granted ends it with the line that the relay's configuration needs", async () => {
  const { trial } = await usePublicTrial();
  const expose = new Expose(trial, ["3000", "--name", "other.example.com"]);
  expect((await expose.child.exited).code).toBe(1);
  expect(expose.errors.join("\n")).toContain(
    'public.names: [{server: lan-box, names: ["other.example.com"]}]',
  );
});

it("TLS that the relay passes on is ended by the command with a certificate, and ssh found in it", async () => {
  const { trial } = await usePublicTrial([{ server: "lan-box", names: [name], tls: "pass" }]);
  const { port } = await website((request, response) => {
    response.end(String(request.headers["x-forwarded-for"]));
  });
  const sshPort = await freePort();
  const ssh = await useSshServer(sshPort);
  const refused = new Expose(trial, [String(port), "--name", name]);
  expect((await refused.child.exited).code).toBe(1);
  expect(refused.errors.join("\n")).toMatch(/passes TLS .* --tls local --cert FILE/);

  const [cert, key] = [trial.path("cert.pem"), trial.path("key.pem")];
  const made = await run("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
    ...["-keyout", key, "-out", cert, "-days", "30", "-subj", `/CN=${name}`],
  ]);
  expect(made.code).toBe(0);
  const files = ["--tls", "local", "--cert", cert, "--key", key];
  const expose = new Expose(trial, [
    ...[String(port), "--name", name, ...files],
    ...["--ssh", `127.0.0.1:${sshPort}`],
  ]);
  await expose.line(/leads to/);
  expect((await visit(trial, "/")).text).toBe("127.0.0.1");
  await expose.line(/GET +200 /);

  const way = `openssl s_client -quiet -verify_quiet -connect 127.0.0.1:${trial.webPort} -servername ${name}`;
  const result = await run("ssh", [
    ...ssh.options,
    ...["-o", `ProxyCommand=${way}`, `${ssh.user}@${name}`, "echo", "through", "TLS"],
  ]);
  expect(result.stdout, result.stderr).toBe("through TLS\n");
  await expose.line(/ssh connection of 127\.0\.0\.1/);
});

it("ssh inside TLS that the relay ends goes where the command says, and nowhere else", async () => {
  const { trial } = await usePublicTrial();
  const heard: Buffer[] = [];
  const site = createTcpServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => {
      heard.push(chunk);
      socket.end("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nsite");
    });
  });
  site.listen(0, "127.0.0.1");
  await once(site, "listening");
  onTestFinished(() => void site.close());
  const { port } = site.address() as AddressInfo;
  const sshPort = await freePort();
  const ssh = await useSshServer(sshPort);
  const way = `openssl s_client -quiet -verify_quiet -connect 127.0.0.1:${trial.webPort} -servername ${name}`;
  const command = [
    ...[...ssh.options, "-o", `ProxyCommand=${way}`],
    ...[`${ssh.user}@${name}`, "echo", "through", "TLS"],
  ];
  const without = new Expose(trial, [String(port), "--name", name]);
  await without.line(/leads to/);
  expect((await run("ssh", command)).code).toBe(255);
  expect(heard).toEqual([]);
  await without.child.end("SIGINT");

  const expose = new Expose(trial, [
    ...[String(port), "--name", name, "--ssh", `127.0.0.1:${sshPort}`],
  ]);
  await expose.line(/leads to/);
  const result = await run("ssh", command);
  expect(result.stdout, result.stderr).toBe("through TLS\n");
  await expose.line(/ssh connection of 127\.0\.0\.1/);
  expect((await visit(trial, "/")).text).toBe("site");
});

it("TLS is handed on unread where the service ends it", async () => {
  const { trial } = await usePublicTrial([{ server: "lan-box", names: [name], tls: "pass" }]);
  const heard: Buffer[] = [];
  const echo = await echoServer(0, "not TLS at all");
  onTestFinished(() => echo.close());
  const expose = new Expose(trial, [String(echo.port), "--name", name, "--tls", "pass"]);
  await expose.line(/leads to/);
  const socket = connectTls({ port: trial.webPort, servername: name, rejectUnauthorized: false });
  socket.on("data", (chunk: Buffer) => heard.push(chunk));
  const error = (await within(5_000, "an error", once(socket, "error"))) as [Error];
  // What came back was no TLS: nobody on the way has spoken it in the service's place.
  expect(error[0].message).toMatch(/wrong version|packet length|unexpected|ssl/i);
  await expose.line(/tls connection of 127\.0\.0\.1/);
});

it("a public port leads to a service, also one that speaks first", async () => {
  const { trial, publicPort } = await usePublicTrial();
  const echo = await echoServer(0, "220 ready\r\n");
  onTestFinished(() => echo.close());
  const expose = new Expose(trial, [`127.0.0.1:${echo.port}`, "--port", String(publicPort)]);
  expect(await expose.line(/leads to/)).toContain(`tcp port ${publicPort}`);
  const socket = await connectTcp(publicPort);
  expect((await readExactly(socket, 11, 5_000, "the greeting")).toString()).toBe("220 ready\r\n");
  socket.end("bye");
  expect((await readExactly(socket, 3, 5_000, "the echo")).toString()).toBe("bye");
  socket.destroy();
  await expose.line(/other connection of 127\.0\.0\.1, 3 B in, 14 B out/);
});

it.skipIf(missing("nginx", "openssl"))(
  "nginx behind it is told by PROXY protocol who visits, by name, passed TLS and port, and by nobody else",
  async () => {
    const [other, plainPort, tlsPort] = ["tls.example.com", await freePort(), await freePort()];
    const { trial, publicPort } = await usePublicTrial([
      { server: "lan-box", names: [name] },
      { server: "lan-box", names: [other], tls: "pass" },
    ]);
    const { certFile, keyFile } = await makeCertificate([other], { folder: trial.folder });
    const says = `return 200 "$proxy_protocol_addr:$proxy_protocol_port at $proxy_protocol_server_port, $http_x_forwarded_for";`;
    const nginx = await runNginx(
      { folder: trial.folder, port: plainPort },
      `server { listen 127.0.0.1:${plainPort} proxy_protocol; ${says} }
       server { listen 127.0.0.1:${tlsPort} ssl proxy_protocol; ssl_certificate ${certFile}; ssl_certificate_key ${keyFile}; ${says} }`,
    );
    endWithTest(nginx);
    const proxyProtocol = "v2";
    await trial.edit("server", (config) => {
      config["expose"] = [
        { name, to: `127.0.0.1:${plainPort}`, proxyProtocol },
        { name: other, to: `127.0.0.1:${tlsPort}`, tls: "pass", proxyProtocol },
        { port: publicPort, to: `127.0.0.1:${plainPort}`, proxyProtocol },
      ];
    });
    await trial.start(["server"]);
    const get = (host: string): string =>
      `GET / HTTP/1.1\r\nHost: ${host}\r\nX-Forwarded-For: 6.6.6.6\r\nConnection: close\r\n\r\n`;
    const hear = async (socket: Socket, text: string): Promise<string> => {
      let heard = "";
      let from: number | undefined;
      socket.on("data", (chunk: Buffer) => {
        from ??= socket.localPort;
        heard += chunk.toString();
      });
      socket.on("error", () => undefined);
      onTestFinished(() => void socket.destroy());
      socket.write(text);
      await waitUntil("the end of the answer", () => socket.readableEnded || socket.closed);
      return heard.replace(`127.0.0.1:${from} `, "visitor ");
    };
    const tls = (servername: string): Socket =>
      connectTls({
        ...{ host: "127.0.0.1", port: trial.webPort, servername },
        rejectUnauthorized: false,
      });
    expect(await hear(tls(name), get(name))).toContain(`visitor at ${trial.webPort}, 127.0.0.1`);
    expect(await hear(tls(other), get(other))).toContain(`visitor at ${trial.webPort}, 6.6.6.6`);
    expect(await hear(await connectTcp(publicPort), get("anything"))).toContain(
      `visitor at ${publicPort}, 6.6.6.6`,
    );
    // A visitor's own header comes behind the true one, and is no HTTP; or it is none at all for the relay.
    const spoofed = `PROXY TCP4 6.6.6.6 127.0.0.1 7777 443\r\n${get(name)}`;
    expect(await hear(await connectTcp(publicPort), spoofed)).not.toContain("6.6.6.6:");
    expect(await hear(tls(name), spoofed)).toMatch(/^HTTP\/1\.1 400 /);
    expect(await hear(tls(other), spoofed)).not.toContain("6.6.6.6:");
  },
);

it("is public again after the relay was away", async () => {
  const { trial } = await usePublicTrial();
  const { port } = await website((_request, response) => response.end("hello"));
  const expose = new Expose(trial, [String(port), "--name", name]);
  await expose.line(/leads to/);
  await trial.daemon("relay").kill();
  await expose.line(/not public at the moment/);
  await trial.startOne("relay");
  await waitUntil("the page again", async () => (await visit(trial, "/")).text === "hello", {
    withinMs: 15_000,
  });
});

it("begins by WebSocket where UDP is blocked, and moves to QUIC when it passes: a request under way stays, new ones come by QUIC", async () => {
  const { trial } = await usePublicTrial();
  const nat = await Nat.use(trial.relayPort);
  nat.blocked = true;
  await trial.edit("server", (config) => {
    (config["relay"] as Record<string, unknown>)["address"] = `127.0.0.1:${nat.port}`;
    config["transports"] = ["quic", "wss"];
  });
  let isLong = false;
  let finish = (): void => undefined;
  const { port } = await website((request, response) => {
    response.write("begun");
    isLong ||= request.url === "/long";
    if (request.url === "/long") finish = () => response.end(" and done");
    else response.end();
  });
  const expose = new Expose(trial, [String(port), "--name", name, "--json"]);
  await expose.line(/"event":"open"/);
  const carriers = async (): Promise<readonly string[]> => {
    const { peers } = await trial.status("relay");
    return peers
      .flatMap(({ sessions }) => sessions)
      .map(({ transport, leaving }) => transport + (leaving ? ", leaving" : ""));
  };
  expect(await carriers()).toEqual(["mproxy/websocket"]);
  const long = visit(trial, "/long", "GET", 60_000);
  await waitUntil("the long request", () => isLong);
  nat.blocked = false;
  await waitUntil("the move", async () => (await carriers()).length === 2, { withinMs: 30_000 });
  expect(await carriers()).toEqual(["mproxy/websocket, leaving", "quic/quiche"]);
  for (let visits = 0; visits < 4; visits += 1) {
    expect((await visit(trial, "/short")).text).toBe("begun");
  }
  const { peers } = await trial.status("relay");
  const byQuic = peers.flatMap(({ sessions }) => sessions).find(({ leaving }) => !leaving);
  expect(byQuic?.receivedBytes).toBeGreaterThan(4 * "begun".length);
  finish();
  expect((await long).text).toBe("begun and done");
  await waitUntil("QUIC alone", async () => (await carriers()).length === 1, { withinMs: 20_000 });
  expect(await carriers()).toEqual(["quic/quiche"]);
  expect((await visit(trial, "/short")).text).toBe("begun");
  expect(expose.lines.join("\n")).not.toContain("interrupted");
});

it("servers expose by their configuration: in turn, with who asked, and no more than is granted", async () => {
  const names = ["lan-box", "attic"].map((server) => ({ server, names: [name] }));
  const { trial } = await usePublicTrial();
  const attic = trial.path("attic.yaml");
  await culvert(["key", "generate", trial.path("attic.key")]);
  const { stdout: id } = await culvert(["key", "show", trial.path("attic.key")]);
  await trial.edit("relay", (config) => {
    (config["peers"] as object[]).push({ name: "attic", id: id.trim(), role: "server" });
    config["public"] = { names };
  });
  await trial.restart("relay");
  const first = await website((_request, response) => response.end("lan-box"));
  const heard: Buffer[] = [];
  const second = await echoServerThatKeeps(heard);
  const expose = (port: number, more: object): object[] => [
    { name, to: `127.0.0.1:${port}`, ...more },
    { name: "secret.example.com", to: "127.0.0.1:1" },
  ];
  await trial.edit("server", (config) => {
    config["expose"] = expose(first.port, {});
  });
  const written = parse(await readFile(trial.configFile("server"), "utf8")) as Record<
    string,
    unknown
  >;
  const other = {
    ...{ ...written, name: "attic", identity: { keyFile: trial.path("attic.key") } },
    ...{ control: { socket: trial.path("attic.sock") }, admin: { listen: "off" } },
    expose: expose(second, { proxyProtocol: "v2" }),
  };
  await writeFile(attic, stringify(other));
  await trial.start(["server"]);
  const daemon = await startDaemon("server", attic, { cwd: trial.folder });
  endWithTest(daemon.child);

  const answers = [];
  for (let visits = 0; visits < 6; visits += 1) answers.push((await visit(trial, "/")).text);
  expect(answers.filter((text) => text === "lan-box")).toHaveLength(3);
  expect(answers.filter((text) => text === "attic")).toHaveLength(3);
  // PROXY, version 2, TCP over IPv4, from 127.0.0.1 to 127.0.0.1.
  const header = Buffer.concat(heard).subarray(0, 24).toString("hex");
  expect(header).toMatch(/^0d0a0d0a000d0a515549540a2111000c7f0000017f000001/);

  const status = await trial.status("server");
  expect(status.exposes).toMatchObject([
    { expose: name, state: "granted", url: `https://${name}:${trial.webPort}` },
    { expose: "secret.example.com", state: "refused" },
  ]);
  const shown = await culvert(["status", "--config", trial.configFile("server")]);
  expect(shown.stdout).toContain(`https://${name}:${trial.webPort}`);
  await daemon.stop();
  await waitUntil("the living one alone", async () => {
    const texts = [await visit(trial, "/"), await visit(trial, "/")].map(({ text }) => text);
    return texts.every((text) => text === "lan-box");
  });
});

/** A web server that takes PROXY headers as they come and keeps all bytes. */
async function echoServerThatKeeps(heard: Buffer[]): Promise<number> {
  const server = createTcpServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => {
      heard.push(chunk);
      if (!chunk.includes("\r\n\r\n", 28)) return;
      socket.end("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nattic");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
