import { randomBytes } from "node:crypto";
import { rename, writeFile } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { request as httpsRequest } from "node:https";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { expect, it, onTestFailed, onTestFinished } from "vitest";
import { stringify } from "yaml";
import { queryStatus } from "@culvert/telemetry";
import type { TelebitStatus } from "@culvert/end-server-proxy";
import { useConnectProxy } from "./support/connect-proxy.ts";
import { culvert } from "./support/culvert.ts";
import { Daemon } from "./support/daemon.ts";
import { PackerRelay } from "./support/packer-relay.ts";
import { run } from "./support/child.ts";
import { connectTcp, digest, echoServer, readExactly, sendRandom } from "./support/tcp.ts";
import { useTempFolder } from "./support/temp-folder.ts";
import { freePort } from "./support/ports.ts";
import { useTrial, type Trial } from "./support/trial.ts";
import { waitUntil, within } from "./support/wait.ts";

const name = "a.example.com";

interface Device {
  readonly relay: PackerRelay;
  readonly daemon: Daemon;
  readonly folder: string;
  readonly status: () => Promise<TelebitStatus>;
  readonly ports: { readonly https: number; readonly tcp: number; readonly other: number };
}

/** A web site that says what it heard. */
async function website(): Promise<number> {
  const server = createServer((request, response) => {
    let length = 0;
    request.on("data", (chunk: Buffer) => (length += chunk.length));
    request.on("end", () => {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ length, headers: request.headers, url: request.url }));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** `culvert server` as a device of a relay on the real packer. */
async function useDevice(token = "good-token"): Promise<Device> {
  const folder = await useTempFolder();
  const at = (file: string): string => join(folder, file);
  const relay = await new PackerRelay("good-token").listen();
  onTestFinished(() => relay.close());
  const echo = await echoServer(0);
  onTestFinished(() => echo.close());
  const banner = await echoServer(0, "SSH-2.0-test\r\n");
  onTestFinished(() => banner.close());
  await selfSigned(folder);
  await culvert(["key", "generate", at("server.key")]);
  await writeFile(at("token"), token, { mode: 0o600 });
  const config = {
    role: "server",
    name: "box",
    identity: { keyFile: at("server.key") },
    transports: ["telebit"],
    telebit: {
      relay: `http://127.0.0.1:${relay.port}`,
      tokenFile: at("token"),
      ssh: `127.0.0.1:${banner.port}`,
    },
    expose: [
      {
        name,
        to: `127.0.0.1:${await website()}`,
        tls: "local",
        certFile: at("cert.pem"),
        keyFile: at("key.pem"),
      },
      { port: 20_000, to: `127.0.0.1:${echo.port}` },
    ],
    admin: { listen: "off" },
    control: { socket: at("server.sock") },
    reconnect: { first: "50ms", cap: "200ms" },
  };
  await writeFile(at("server.yaml"), stringify(config));
  const daemon = new Daemon("server", at("server.yaml"), { cwd: folder });
  onTestFailed(() => {
    console.error(daemon.log());
  });
  onTestFinished(async () => {
    await daemon.child.end("SIGTERM");
  });
  return {
    relay,
    daemon,
    folder,
    status: async () => {
      const { telebit } = (await queryStatus(at("server.sock"))) as { telebit: TelebitStatus };
      return telebit;
    },
    ports: {
      https: await relay.open({ service: "https", name, serviceport: 443 }),
      tcp: await relay.open({ service: "tcp", name: "", serviceport: 20_000 }),
      other: await relay.open({ service: "https", name: "b.example.com", serviceport: 443 }),
    },
  };
}

async function selfSigned(folder: string, host = name): Promise<void> {
  const made = await run("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
    ...["-keyout", join(folder, "key.pem"), "-out", join(folder, "cert.pem"), "-days", "30"],
    ...["-subj", `/CN=${host}`, "-addext", `subjectAltName=DNS:${host}`],
  ]);
  if (made.code !== 0) throw new Error(made.stderr);
}

/** A trial whose relay takes Telebit devices, and a device of it with a token that `culvert token` made. */
async function useDeviceOfOurRelay(): Promise<{ readonly trial: Trial; readonly tcpPort: number }> {
  const trial = await useTrial();
  const tcpPort = await freePort();
  await selfSigned(trial.folder, "relay.localhost");
  await rename(trial.path("cert.pem"), trial.path("relay-cert.pem"));
  await rename(trial.path("key.pem"), trial.path("relay-key.pem"));
  await selfSigned(trial.folder);
  await trial.edit("relay", (config) => {
    config["web"] = {
      https: [`127.0.0.1:${trial.webPort}`],
      names: ["relay.localhost"],
      certificates: [
        { certFile: trial.path("relay-cert.pem"), keyFile: trial.path("relay-key.pem") },
      ],
    };
    config["telebit"] = {
      secretFile: trial.path("secret"),
      domains: ["*.example.com"],
      ports: String(tcpPort),
    };
  });
  const relayFile = trial.configFile("relay");
  const made = await culvert(["token", name, "--port", String(tcpPort), "--config", relayFile]);
  if (made.code !== 0) throw new Error(made.stderr);
  await writeFile(trial.path("token"), made.stdout, { mode: 0o600 });
  const echo = await echoServer(0);
  onTestFinished(() => echo.close());
  const site = await website();
  await trial.edit("server", (config) => {
    delete config["relay"];
    config["transports"] = ["telebit"];
    config["telebit"] = {
      relay: `https://relay.localhost:${trial.webPort}`,
      tokenFile: trial.path("token"),
      caFile: trial.path("relay-cert.pem"),
    };
    config["expose"] = [
      {
        name,
        to: `127.0.0.1:${site}`,
        tls: "local",
        certFile: trial.path("cert.pem"),
        keyFile: trial.path("key.pem"),
      },
      { port: tcpPort, to: `127.0.0.1:${echo.port}` },
    ];
    config["reconnect"] = { first: "50ms", cap: "200ms" };
  });
  return { trial, tcpPort };
}

interface Heard {
  readonly length: number;
  readonly headers: IncomingHttpHeaders;
  readonly url: string;
}

function ask(port: number, path: string, body?: Buffer): Promise<Heard> {
  const answer = new Promise<Heard>((resolve, reject) => {
    const request = httpsRequest(
      {
        ...{ host: "127.0.0.1", port, path, servername: name, rejectUnauthorized: false },
        ...{ method: body === undefined ? "GET" : "POST", agent: false, headers: { host: name } },
      },
      (response) => {
        let text = "";
        response.on("data", (chunk: Buffer) => (text += chunk.toString()));
        response.on("end", () => resolve(JSON.parse(text) as Heard));
      },
    );
    request.on("error", reject);
    request.end(body);
  });
  return within(10_000, `answer to ${path}`, answer);
}

it("serves https, ssh and tcp of a Telebit relay that is made of the real packer", async () => {
  const { relay, daemon, ports, status } = await useDevice();
  expect(await daemon.ready()).toBe("ready server box");
  expect(relay.control).toContainEqual([-1, null]);
  expect(await status()).toMatchObject({ state: "attached", names: [name], ports: [] });

  // TLS ends here, and the site is told who asked.
  const heard = await ask(ports.https, "/page");
  expect(heard.url).toBe("/page");
  expect(heard.headers).toMatchObject({
    host: name,
    "x-forwarded-for": "127.0.0.1",
    "x-forwarded-proto": "https",
  });
  const upload = randomBytes(5 * 1024 * 1024);
  expect((await ask(ports.https, "/upload", upload)).length).toBe(upload.length);

  // ssh inside TLS, as `ProxyCommand openssl s_client` brings it, and on the public port.
  const secure = connectTls({ port: ports.https, servername: name, rejectUnauthorized: false });
  secure.on("error", () => undefined);
  await within(5_000, "TLS", once(secure, "secureConnect"));
  secure.write("SSH-2.0-client\r\n");
  const banner = await readExactly(secure, 14, 5_000, "the banner");
  expect(banner.toString()).toBe("SSH-2.0-test\r\n");
  secure.destroy();
  const bare = await connectTcp(ports.tcp);
  bare.write("SSH-2.0-client\r\n");
  expect((await readExactly(bare, 14, 5_000, "the banner")).toString()).toBe("SSH-2.0-test\r\n");
  bare.destroy();

  // Anything else on the port goes to its service, both ways, many megabytes.
  const many = await connectTcp(ports.tcp);
  const [sent, back] = await within(
    30_000,
    "an echo of 20 MiB",
    Promise.all([sendRandom(many, 20 * 1024 * 1024), digest(many)]),
  );
  expect(back).toEqual(sent);

  // What is not exposed here is an error at once, whatever the relay thinks.
  const other = await connectTcp(ports.other);
  const id = `IPv4,127.0.0.1,${other.localPort}`;
  other.write("hello");
  other.on("error", () => undefined);
  other.once("end", () => other.end()).resume();
  await within(5_000, "the end", new Promise((resolve) => other.once("close", resolve)));
  expect(relay.errors).toContain(id);
  expect(daemon.named("server.connection.refused").at(-1)?.["reason"]).toMatch(
    /b\.example\.com is not exposed here/,
  );
});

it("comes back after the relay was away, and sends its token again", async () => {
  const { relay, daemon, ports } = await useDevice();
  await daemon.ready();
  const { port } = relay;
  await relay.close();
  await waitUntil("the loss", () => daemon.named("server.telebit.detached").length > 0);
  const next = await new PackerRelay("good-token").listen(port);
  onTestFinished(() => next.close());
  await waitUntil("the token again", () => next.attached);
  const https = await next.open({ service: "https", name, serviceport: 443 });
  expect(https).not.toBe(ports.https);
  expect((await ask(https, "/again")).url).toBe("/again");
});

it("keeps asking where its token is refused, and takes a new one from the file", async () => {
  const { relay, daemon, folder, status } = await useDevice("bad-token");
  await waitUntil("the refusal", () => daemon.named("server.telebit.refused").length > 0);
  expect((await status()).lastError).toMatch(/refused a token/);
  expect(JSON.stringify(daemon.events)).not.toContain("bad-token");
  await writeFile(join(folder, "token"), "good-token\n", { mode: 0o600 });
  await waitUntil("the new token", () => relay.attached, { withinMs: 15_000 });
  expect(await daemon.ready()).toBe("ready server box");
});

it("serves names and ports of our own relay as a Telebit device, also after that was restarted", async () => {
  const { trial, tcpPort } = await useDeviceOfOurRelay();
  await trial.start(["relay", "server"]);
  const heard = await ask(trial.webPort, "/ours");
  expect(heard).toMatchObject({ url: "/ours", headers: { "x-forwarded-for": "127.0.0.1" } });
  const echoes = async (): Promise<void> => {
    const many = await connectTcp(tcpPort);
    const [sent, back] = await within(
      30_000,
      "an echo of 5 MiB",
      Promise.all([sendRandom(many, 5 * 1024 * 1024), digest(many)]),
    );
    expect(back).toEqual(sent);
  };
  await echoes();
  await trial.restart("relay");
  await waitUntil(
    "the page again",
    async () => (await ask(trial.webPort, "/again")).url === "/again",
    {
      withinMs: 15_000,
    },
  );
  await echoes();
});

it("goes out through the HTTP proxy that is configured, for the document and for the WebSocket", async () => {
  const { trial } = await useDeviceOfOurRelay();
  const proxy = await useConnectProxy(trial.webPort);
  await trial.edit("server", (config) => {
    // A name that only the proxy knows.
    config["telebit"] = {
      ...(config["telebit"] as object),
      relay: "https://relay.localhost",
      proxy: `http://user:s3cret@127.0.0.1:${proxy.port}`,
    };
  });
  await trial.start(["relay", "server"]);
  expect((await ask(trial.webPort, "/through")).url).toBe("/through");
  const hello = { target: "relay.localhost:443", authorization: `Basic ${btoa("user:s3cret")}` };
  expect(proxy.asked[0]).toEqual(hello);
  expect(proxy.asked).toHaveLength(2);
  expect(trial.log()).not.toContain("s3cret");
});
