import { once } from "node:events";
import { mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import {
  createServer as createTcpServer,
  type AddressInfo,
  type Server,
  type Socket,
} from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { createCertificate, generateIdentity } from "@culvert/identity";
import { millis, systemClock } from "@culvert/runtime";
import { createRegistry, silentLog } from "@culvert/telemetry";
import { duplexPair, waitUntil, within } from "@culvert/testkit";
import { Status, type PublicOffer } from "@culvert/wire";
import { describe, expect, it, onTestFinished } from "vitest";
import { ConnectionLedger } from "../connection-ledger.ts";
import type { ServiceTarget } from "../exits/allow-list.ts";
import { dialService } from "../exits/dial-service.ts";
import { ExitError } from "../exits/exit.ts";
import { EndServerMetrics } from "../metrics.ts";
import type { Exchange, PublicConnectionEnd } from "./exchange.ts";
import type { ExposeRule } from "./expose-rule.ts";
import { PublicDesk } from "./public-desk.ts";

const https: PublicOffer = {
  service: "https",
  name: "app.example.com",
  servicePort: 443,
  remote: { family: "IPv4", address: "203.0.113.7", port: 50_112 },
  localAddress: "192.0.2.1",
  tlsEnded: false,
};
const http: PublicOffer = { ...https, service: "http", tlsEnded: true };
const tcp: PublicOffer = { ...https, service: "tcp", name: "", servicePort: 2222 };

function rule(to: ServiceTarget, more: Partial<ExposeRule> = {}): ExposeRule {
  return {
    name: "app.example.com",
    port: 0,
    to,
    tls: "relay",
    certificate: undefined,
    proxyProtocol: "off",
    forwardedFor: true,
    ssh: undefined,
    ...more,
  };
}

interface Told {
  readonly exchanges: Exchange[];
  readonly ended: PublicConnectionEnd[];
  readonly unreachable: string[];
}

function desk(...rules: ExposeRule[]) {
  const told: Told = { exchanges: [], ended: [], unreachable: [] };
  const deps = {
    clock: systemClock,
    log: silentLog,
    metrics: new EndServerMetrics(createRegistry()),
  };
  const publicDesk = new PublicDesk(
    {
      ...deps,
      ledger: new ConnectionLedger(deps),
      dial: (to, signal) => dialService(to, { clock: systemClock, timeout: millis(2_000), signal }),
      observer: {
        exchange: (_offer, exchange) => told.exchanges.push(exchange),
        ended: (_offer, ended) => told.ended.push(ended),
        unreachable: (_offer, why) => told.unreachable.push(why),
      },
    },
    rules,
  );
  /** The visitor's end of a connection that is served. */
  const visit = (offer: PublicOffer): { visitor: Duplex; served: Promise<void> } => {
    const [visitor, ours] = duplexPair();
    const gone = new AbortController();
    ours.once("close", () => gone.abort());
    const served = publicDesk.serve({ offer, trace: "00", accept: () => ours }, gone.signal);
    served.catch(() => undefined);
    return { visitor, served };
  };
  return { told, visit };
}

async function listen(server: Server): Promise<ServiceTarget & { kind: "tcp" }> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
  });
  return { kind: "tcp", host: "127.0.0.1", port: (server.address() as AddressInfo).port };
}

function website(answer: RequestListener): Promise<ServiceTarget> {
  return listen(createServer(answer));
}

/** A service that says everything it hears back behind its greeting. */
function echo(greeting: string): Promise<ServiceTarget> {
  return listen(
    createTcpServer((socket: Socket) => {
      socket.on("error", () => undefined);
      socket.write(greeting);
      socket.pipe(socket);
    }),
  );
}

async function nowhere(): Promise<ServiceTarget> {
  const server = createTcpServer();
  const target = await listen(server);
  server.close();
  await once(server, "close");
  return target;
}

async function certificate(): Promise<{ certFile: string; keyFile: string }> {
  const folder = await mkdtemp(join(tmpdir(), "culvert-cert-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const files = { certFile: join(folder, "cert.pem"), keyFile: join(folder, "key.pem") };
  await renew(files);
  return files;
}

async function renew({ certFile, keyFile }: { certFile: string; keyFile: string }): Promise<void> {
  const wallNowMs = systemClock.wallNowMs();
  const made = await createCertificate(generateIdentity(), { wallNowMs });
  await writeFile(certFile, made.certificatePem);
  await writeFile(keyFile, made.privateKeyPem);
}

async function tls(socket: Duplex): Promise<TLSSocket> {
  const client = connectTls({ socket, servername: https.name, rejectUnauthorized: false });
  client.on("error", () => undefined);
  await within(once(client, "secureConnect"), { what: "the handshake" });
  return client;
}

function ask(stream: Duplex, request: string): Promise<string> {
  stream.write(request);
  return within(textOf(stream), { what: "the answer" });
}

/** Everything until the end, which leaves the other direction alone. */
function textOf(stream: Duplex): Promise<string> {
  let heard = "";
  stream.on("data", (chunk: Buffer) => (heard += chunk.toString()));
  return new Promise((resolve) => stream.once("end", () => resolve(heard)));
}

const get = "GET /page HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n\r\n";

describe("an exposed name", () => {
  it("leads to its service when the relay has ended TLS, and its requests are told", async () => {
    const site = await website((_req, res) => res.end("hello"));
    const { told, visit } = desk(rule(site));
    const { visitor, served } = visit(http);
    expect(await ask(visitor, get)).toMatch(/200 OK[^]*hello$/);
    visitor.end();
    await within(served, { what: "the end" });
    expect(told.exchanges).toMatchObject([
      { method: "GET", path: "/page", status: 200, responseBytes: 5 },
    ]);
    expect(told.ended).toMatchObject([{ protocol: "http", failure: undefined }]);
  });

  it("has its TLS ended here, and the service is told who asks whatever the client claims", async () => {
    const site = await website((req, res) => res.end(JSON.stringify(req.headers)));
    const files = await certificate();
    const { told, visit } = desk(rule(site, { tls: "local", certificate: files }));
    const client = await tls(visit(https).visitor);
    const answer = await ask(
      client,
      get.replace(
        "\r\n\r\n",
        "\r\nX-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n\r\n",
      ),
    );
    expect(answer).not.toContain("6.6.6.6");
    expect(
      JSON.parse(answer.slice(answer.indexOf("{"), answer.lastIndexOf("}") + 1)),
    ).toMatchObject({
      host: "app.example.com",
      "x-forwarded-for": "203.0.113.7",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "app.example.com",
    });
    expect(told.exchanges).toMatchObject([{ path: "/page", status: 200 }]);
  });

  it("is served under its own name alone, where TLS for it is ended here: each request is looked at", async () => {
    const urls: unknown[] = [];
    const server = createServer((req, res) => {
      urls.push(req.url);
      res.end("hello");
    });
    server.on("upgrade", (req, socket) => {
      urls.push(req.url);
      socket.destroy();
    });
    const files = await certificate();
    const to = await listen(server);
    const { told, visit } = desk(rule(to, { tls: "local", certificate: files }));
    const get = async (target: string, ...lines: readonly string[]): Promise<string> => {
      const client = await tls(visit(https).visitor);
      const sound = "GET /sound HTTP/1.1\r\nHost: App.Example.com.:443\r\n\r\n";
      const head = [`GET ${target} HTTP/1.1`, ...lines, "Connection: close", "", ""].join("\r\n");
      const answer = await ask(client, sound + head);
      client.destroy();
      expect(answer).toMatch(/^HTTP\/1\.1 200 OK/);
      return /[^]HTTP\/1\.1 (\d+) /.exec(answer)?.[1] ?? "";
    };
    expect(await get("/other", "Host: other.example.com")).toBe("421");
    expect(await get("/address", "Host: 192.168.1.1")).toBe("421");
    expect(await get("/none", "Host: a b")).toBe("400");
    expect(await get("/two", "Host: app.example.com", "Host: other.example.com")).toBe("400");
    expect(await get("http://other.example.com/", "Host: app.example.com")).toBe("400");
    expect(await get("/good", "Host: app.example.com")).toBe("200");
    const upgrading =
      "GET /chat HTTP/1.1\r\nHost: other.example.com\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
    expect(await ask(await tls(visit(https).visitor), upgrading)).toMatch(/^HTTP\/1\.1 421 /);
    expect(new Set(urls)).toEqual(new Set(["/sound", "/good"]));
    expect(told.exchanges.filter(({ status }) => status === 421)).toHaveLength(3);
  });

  it.each([
    ["an empty line", "\r\nGET"],
    ["five empty lines", "\r\n\r\n\r\n\r\n\r\nGET"],
    ["line feeds", "\n\nGET"],
    ["a space", " GET"],
    ["a tab", "\tGET"],
    ["a control character", "\u001cGET"],
    ["a method in small letters", "get"],
    ["a method that nobody knows", "1!x_"],
    ["another protocol's banner", "SSH-2.0-"],
    ["a line that is no request", "{}\r\n\r\nGET"],
    ["bytes that are no text", "\u0000\u0001\r\n\r\nGET"],
  ])("is looked at behind %s", async (_what, start) => {
    let heard = "";
    // More lenient than any real one: it takes whatever comes.
    const to = await listen(
      createTcpServer((socket) => {
        socket.on("error", () => undefined);
        socket.on("data", (chunk) => {
          heard += chunk.toString("latin1");
          socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        });
      }),
    );
    for (const forwardedFor of [true, false]) {
      const { visit } = desk(
        rule(to, { tls: "local", certificate: await certificate(), forwardedFor }),
      );
      const { visitor, served } = visit(https);
      const client = await tls(visitor);
      client.resume();
      client.write(`${start} / HTTP/1.1\r\nHost: other\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n`);
      client.end();
      await within(served, { what: "the end" });
      expect(heard).toBe("");
    }
  });

  it("is done at once with a client that ends without a word, and dials nothing", async () => {
    let dials = 0;
    const to = await listen(createTcpServer(() => (dials += 1)));
    const { visit } = desk(rule(to, { tls: "local", certificate: await certificate() }));
    const { visitor, served } = visit(https);
    (await tls(visitor)).end();
    await within(served, { what: "the end" });
    expect(dials).toBe(0);
  });

  it("is served under its own name alone where its service wants no headers, and none comes from the client", async () => {
    const heard: unknown[] = [];
    const site = await website((req, res) => {
      heard.push([req.url, Object.keys(req.headers).filter((field) => field.startsWith("x-"))]);
      res.end("hello");
    });
    const files = await certificate();
    const { visit } = desk(
      rule(site, { tls: "local", certificate: files, forwardedFor: false, proxyProtocol: "off" }),
    );
    const claim = "\r\nX-Forwarded-For: 6.6.6.6\r\nX-Own: 1\r\n\r\n";
    const own = get.replace("\r\n\r\n", claim);
    expect(await ask(await tls(visit(https).visitor), own)).toMatch(/^HTTP\/1\.1 200 /);
    const other = own.replace("app.example.com", "other.example.com");
    expect(await ask(await tls(visit(https).visitor), other)).toMatch(/^HTTP\/1\.1 421 /);
    expect(heard).toEqual([["/page", ["x-own"]]]);
  });

  it("carries upgrades through TLS that is ended here; a refused one ends the connection", async () => {
    const server = createServer((_req, res) => res.end("no upgrade"));
    server.on("upgrade", (req, socket) => {
      socket.on("error", () => undefined);
      if (req.url !== "/ws") {
        socket.write("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope");
        return;
      }
      socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
      socket.pipe(socket);
    });
    const site = await listen(server);
    const { told, visit } = desk(rule(site, { tls: "local", certificate: await certificate() }));
    const upgrade =
      "GET /ws HTTP/1.1\r\nHost: app.example.com\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
    const client = await tls(visit(https).visitor);
    let heard = "";
    client.on("data", (chunk: Buffer) => (heard += chunk.toString()));
    client.write(`${upgrade}ping`);
    await waitUntil(() => heard.endsWith("ping"), { what: "the echo" });
    expect(heard).toMatch(/^HTTP\/1.1 101 /);
    client.destroy();
    const refused = await tls(visit(https).visitor);
    const answer = await ask(refused, upgrade.replace("/ws", "/no") + get);
    expect(answer).toMatch(/^HTTP\/1.1 404 [^]*Connection: close\r\n\r\nnope$/);
    expect(told.exchanges.map(({ path, status }) => [path, status])).toEqual([
      ["/ws", 101],
      ["/no", 404],
    ]);
  });

  it("carries an upgrade behind an answered request, and ends a connection with one behind an unanswered", async () => {
    const bulk = Buffer.alloc(1024 * 1024);
    const paths: unknown[] = [];
    const server = createServer((_req, res) => res.end(bulk));
    server.on("upgrade", (req, socket) => {
      paths.push(req.url);
      socket.on("error", () => undefined);
      socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
      socket.pipe(socket);
    });
    const files = await certificate();
    const { told, visit } = desk(rule(await listen(server), { tls: "local", certificate: files }));
    const host = "HTTP/1.1\r\nHost: app.example.com\r\n";
    const get = `GET /bulk ${host}\r\n`;
    const upgrade = (path: string): string =>
      `GET ${path} ${host}Connection: Upgrade\r\nUpgrade: x\r\n\r\nping`;
    const client = await tls(visit(https).visitor);
    let heard = "";
    client.on("data", (chunk: Buffer) => (heard += chunk.toString("latin1")));
    client.write(get);
    await waitUntil(() => heard.length > bulk.length, { what: "the answer" });
    client.write(upgrade("/after"));
    await waitUntil(() => heard.endsWith("ping"), { what: "the echo" });
    client.destroy();
    const hasty = visit(https);
    const pipelining = await tls(hasty.visitor);
    pipelining.resume();
    pipelining.write(get + upgrade("/behind"));
    await within(hasty.served, { what: "the end" });
    expect(paths).toEqual(["/after"]);
    expect(told.exchanges.map(({ path }) => path)).toEqual(["/bulk", "/after", "/bulk"]);
    expect(told.unreachable).toEqual([]);
  });

  it("says 502 where its service answers what HTTP does not know", async () => {
    for (const line of ["099 Odd", "200 O\u0001K"]) {
      const site = await listen(
        createTcpServer((socket) => {
          socket.on("error", () => undefined);
          socket.once("data", () => socket.end(`HTTP/1.1 ${line}\r\nContent-Length: 0\r\n\r\n`));
        }),
      );
      const { told, visit } = desk(rule(site, { tls: "local", certificate: await certificate() }));
      expect(await ask(await tls(visit(https).visitor), get)).toMatch(/^HTTP\/1.1 502 /);
      expect(told.exchanges).toMatchObject([{ path: "/page", status: 502 }]);
    }
  });

  it("says nothing of its own into an answer that is under way", async () => {
    const site = await website((_req, res) => void res.write("begun"));
    const { visit } = desk(rule(site, { tls: "local", certificate: await certificate() }));
    const client = await tls(visit(https).visitor);
    let heard = "";
    client.on("data", (chunk: Buffer) => (heard += chunk.toString()));
    client.write(get.replace("Connection: close\r\n", ""));
    await waitUntil(() => heard.includes("begun"), { what: "the beginning" });
    client.write("no request\r\n\r\n");
    await waitUntil(() => client.closed, { what: "the end" });
    expect(heard).not.toContain("400");
  });

  it("refuses an upgrade to a protocol whose requests it could not see", async () => {
    const site = await website((_req, res) => res.end("hello"));
    const { visit } = desk(rule(site, { tls: "local", certificate: await certificate() }));
    const upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: H2C\r\n\r\n";
    const answer = await ask(await tls(visit(https).visitor), upgrade);
    expect(answer).toMatch(/^HTTP\/1.1 501 /);
  });

  it("uses a renewed certificate for the next connection, and the old one where the new is broken", async () => {
    const site = await website((_req, res) => res.end("hello"));
    const files = await certificate();
    const { visit } = desk(rule(site, { tls: "local", certificate: files }));
    const seen = async (): Promise<string> => {
      const client = await tls(visit(https).visitor);
      const { fingerprint256 } = client.getPeerCertificate();
      client.destroy();
      return fingerprint256;
    };
    const first = await seen();
    expect(await seen()).toBe(first);
    await renew(files);
    const second = await seen();
    expect(second).not.toBe(first);
    await writeFile(files.certFile, "rubbish");
    await utimes(files.certFile, 1, 1);
    expect(await seen()).toBe(second);
  });

  it.each(["relay", "local"] as const)(
    "answers 502 and says where nothing listens (tls: %s)",
    async (end) => {
      const gone = await nowhere();
      const files = await certificate();
      const certificateOf = end === "local" ? files : undefined;
      const { told, visit } = desk(rule(gone, { tls: end, certificate: certificateOf }));
      const { visitor } = visit(end === "local" ? https : http);
      const answer = await ask(end === "local" ? await tls(visitor) : visitor, get);
      expect(answer).toMatch(/^HTTP\/1.1 502 Bad Gateway/);
      expect(answer).toContain(
        `Nothing answers at 127.0.0.1:${gone.kind === "tcp" ? gone.port : 0}`,
      );
      expect(told.unreachable).toHaveLength(1);
    },
  );

  it("does not wait for ever for a client that does not end its side of a page", async () => {
    const { visit } = desk(rule(await nowhere()));
    const { visitor, served } = visit(http);
    visitor.write(get);
    expect(await within(textOf(visitor), { what: "the page" })).toContain("502");
    await within(served, { what: "the end", limitMs: 8_000 });
  }, 10_000);

  it("passes TLS on as it is, behind a PROXY header where asked", async () => {
    const bytes: Buffer[] = [];
    const site = await listen(
      createTcpServer((socket) => {
        socket.on("data", (chunk) => bytes.push(chunk));
        socket.on("end", () => socket.end("bye"));
      }),
    );
    const { visit } = desk(rule(site, { tls: "pass", proxyProtocol: "v2" }));
    const { visitor } = visit(https);
    visitor.end(Uint8Array.of(0x16, 3, 1, 0, 0));
    expect(await within(textOf(visitor), { what: "the answer" })).toBe("bye");
    const heard = Buffer.concat(bytes).toString("hex");
    expect(heard).toMatch(/^0d0a0d0a000d0a515549540a2111000ccb007107c0000201c3c001bb1603010000$/);
  });

  it("leads ssh to the ssh service, in TLS that was ended and at a port", async () => {
    const ssh = await echo("SSH-2.0-test\r\n");
    const site = await website((_req, res) => res.end("hello"));
    const files = await certificate();
    const { visit, told } = desk(
      rule(site, { tls: "local", certificate: files, ssh }),
      rule(site, { name: "", port: 2222, ssh }),
    );
    for (const client of [await tls(visit(https).visitor), visit(tcp).visitor]) {
      let heard = "";
      client.on("data", (chunk: Buffer) => (heard += chunk.toString()));
      client.write("SSH-");
      client.write("2.0-me\r\n");
      await waitUntil(() => heard === "SSH-2.0-test\r\nSSH-2.0-me\r\n", { what: "both banners" });
      client.destroy();
    }
    expect(await ask(visit(tcp).visitor, get)).toContain("hello");
    await waitUntil(() => told.ended.filter(({ protocol }) => protocol === "ssh").length === 2, {
      what: "two ssh connections told",
    });
  });

  it("is told at a port who asks, behind empty lines as well, unless it wants no headers", async () => {
    const heard: unknown[] = [];
    const site = await website((req, res) => {
      heard.push(req.headers["x-forwarded-for"]);
      res.end("hello");
    });
    const certificateOf = await certificate();
    for (const forwardedFor of [true, false]) {
      const at = { name: "", port: 2222, tls: "local", certificate: certificateOf } as const;
      const { visit } = desk(rule(site, { ...at, forwardedFor }));
      const claiming = get.replace("\r\n\r\n", "\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n");
      const client = await tls(visit(tcp).visitor);
      expect(await ask(client, `\r\n\r\n${claiming}`)).toContain("hello");
    }
    expect(heard).toEqual(["203.0.113.7", "6.6.6.6"]);
  });

  it("lets a service at a port speak first", async () => {
    const greeter = await echo("220 ready\r\n");
    const { visit } = desk(rule(greeter, { name: "", port: 2222, ssh: greeter }));
    const { visitor } = visit(tcp);
    const [greeting] = (await within(once(visitor, "data"), { what: "the greeting" })) as [Buffer];
    expect(greeting.toString()).toBe("220 ready\r\n");
  });
});

describe("what is not exposed", () => {
  it.each([
    ["another name", { ...http, name: "other.example.com" }],
    ["a name below", { ...http, name: "x.app.example.com" }],
    ["another port", { ...tcp, servicePort: 22 }],
    ["TLS that the relay was to end", https],
  ])("%s is refused before anything is dialled", async (_what, offer) => {
    let dialled = 0;
    const site = await listen(createTcpServer(() => (dialled += 1)));
    const { visit } = desk(rule(site), rule(site, { name: "", port: 2222 }));
    const { visitor, served } = visit(offer);
    visitor.write(get);
    const error = await served.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ExitError);
    expect((error as ExitError).status).toBe(Status.permission_denied_by_server);
    expect(dialled).toBe(0);
  });

  it("a wildcard covers names below it, the exact name goes before", async () => {
    const one = await website((_req, res) => res.end("wild"));
    const other = await website((_req, res) => res.end("exact"));
    const { visit } = desk(
      rule(one, { name: "*.example.com" }),
      rule(other, { name: "app.example.com" }),
    );
    expect(await ask(visit({ ...http, name: "a.b.example.com" }).visitor, get)).toMatch(/wild$/);
    expect(await ask(visit(http).visitor, get)).toMatch(/exact$/);
  });
});
