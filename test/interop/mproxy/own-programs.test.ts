import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { join } from "node:path";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { expect, it, onTestFailed, onTestFinished } from "vitest";
import { culvert } from "../../support/culvert.ts";
import { Daemon, type Role } from "../../support/daemon.ts";
import { freePort } from "../../support/ports.ts";
import { fetchMetrics } from "../../support/prometheus.ts";
import { listenForTest, makeCertificate } from "../../support/public-entrance.ts";
import { connectTcp, echoServer, readExactly } from "../../support/tcp.ts";
import { endWithTest, useTempFolder } from "../../support/temp-folder.ts";
import { waitUntil, within } from "../../support/wait.ts";
import { PackerDevice } from "./packer-device.ts";
import { collect } from "./telebit-bench.ts";

const name = "app.t.example.com";

/** A running daemon that ends with the test. */
async function start(role: Role, folder: string, config: object): Promise<Daemon> {
  const file = join(folder, `${role}.yaml`);
  await writeFile(file, JSON.stringify(config));
  const daemon = new Daemon(role, file, { cwd: folder });
  endWithTest(daemon.child);
  onTestFailed(() => {
    console.error(daemon.log());
  });
  await daemon.ready();
  return daemon;
}

async function visit(port: number, ca: string): Promise<TLSSocket> {
  const socket = connectTls({ host: "127.0.0.1", port, servername: name, ca });
  socket.on("error", () => undefined);
  onTestFinished(() => void socket.destroy());
  await within(5_000, "TLS", once(socket, "secureConnect"));
  return socket;
}

it("culvert relay, culvert token and culvert server speak Telebit with each other and with the packer", async () => {
  const folder = await useTempFolder();
  const at = (file: string): string => join(folder, file);
  const [https, admin, port] = [await freePort(), await freePort(), await freePort([1])];
  const own = await makeCertificate(["localhost"], { folder });
  const site = await makeCertificate([name], { folder });
  const app = await listenForTest(
    createHttpServer((_request, response) => response.end("the app")),
  );
  const echo = await echoServer(0);
  onTestFinished(() => echo.close());
  for (const key of ["relay.key", "server.key"]) await culvert(["key", "generate", at(key)]);
  const relayConfig = {
    role: "relay",
    identity: { keyFile: at("relay.key") },
    listen: [`127.0.0.1:${await freePort()}`],
    web: {
      https: [`127.0.0.1:${https}`],
      certificates: [{ certFile: own.certFile, keyFile: own.keyFile }],
    },
    telebit: {
      secretFile: at("telebit.secret"),
      domains: ["*.t.example.com"],
      ports: `${port}-${port + 1}`,
    },
    admin: { listen: `127.0.0.1:${admin}` },
    control: { socket: at("relay.sock") },
    drain: "1s",
  };
  await writeFile(at("relay.yaml"), JSON.stringify(relayConfig));
  // The first token makes the secret that the relay reads.
  const mint = async (...args: string[]): Promise<string> => {
    const made = await culvert(["token", "--config", at("relay.yaml"), ...args]);
    if (made.code !== 0) throw new Error(made.stderr);
    return made.stdout.trim();
  };
  const token = await mint(name, "--port", String(port));
  await writeFile(at("token"), token, { mode: 0o600 });
  const relay = await start("relay", folder, relayConfig);
  const server = await start("server", folder, {
    role: "server",
    name: "box",
    identity: { keyFile: at("server.key") },
    transports: ["telebit"],
    telebit: {
      relay: `https://localhost:${https}`,
      tokenFile: at("token"),
      caFile: own.certFile,
    },
    expose: [
      {
        name,
        to: `127.0.0.1:${app}`,
        tls: "local",
        certFile: site.certFile,
        keyFile: site.keyFile,
      },
      { port, to: `127.0.0.1:${echo.port}` },
    ],
    admin: { listen: "off" },
    control: { socket: at("server.sock") },
  });
  await waitUntil("the grant", () => relay.named("relay.telebit.granted").length === 1);

  for (let round = 0; round < 3; round += 1) {
    const visitor = await visit(https, site.pem.certificatePem);
    const got = collect(visitor);
    visitor.write(`GET / HTTP/1.1\r\nhost: ${name}\r\nconnection: close\r\n\r\n`);
    await waitUntil("the page", () => got.text.endsWith("the app"));
  }
  const tcp = await connectTcp(port);
  onTestFinished(() => void tcp.destroy());
  const upload = randomBytes(8 * 1024 * 1024);
  tcp.write(upload);
  const echoed = await readExactly(tcp, upload.length, 20_000, "the echo");
  expect(echoed.equals(upload)).toBe(true);

  // A device that is not ours, beside it.
  const device = new PackerDevice(
    `wss://localhost:${https}/?access_token=${await mint("--port", String(port + 1), "--expires", "1h")}`,
    { ca: own.pem.certificatePem },
  );
  onTestFinished(() => device.close());
  await device.greet();
  const other = await connectTcp(port + 1);
  onTestFinished(() => void other.destroy());
  other.write("hello");
  expect((await device.first("connection")).data?.toString()).toBe("hello");

  const { samples } = await fetchMetrics(admin);
  const authorised = samples.find(
    (sample) =>
      sample.name === "culvert_relay_telebit_devices" && sample.labels.includes("authorised"),
  );
  expect(authorised?.value).toBe(2);
  // A token is nobody's to read, and a restart of the relay costs no device its place.
  await relay.stop();
  const everything = relay.log() + server.log();
  expect(everything).not.toContain(token.slice(0, 30));
  expect(everything).not.toContain(token.slice(-30));
  const again = await start("relay", folder, relayConfig);
  await waitUntil("the grant again", () => again.named("relay.telebit.granted").length === 1, {
    withinMs: 20_000,
  });
  const back = collect(await visit(https, site.pem.certificatePem));
  expect(back.closed).toBe(false);
});
