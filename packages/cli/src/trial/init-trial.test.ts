import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  configWarnings,
  detectRole,
  loadClientConfig,
  loadConfig,
  loadRelayConfig,
  loadServerConfig,
} from "@culvert/config";
import { loadIdentityFile } from "@culvert/identity";
import { afterEach, beforeEach, expect, test } from "vitest";
import { initTrial } from "./init-trial.ts";

const options = {
  relayPort: 30_380,
  listenPort: 30_381,
  targetPort: 30_382,
  serverName: "lan-box",
  clientName: "laptop",
  transports: ["quic", "wss"],
} as const;
let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "culvert-init-"));
});

afterEach(() => rmSync(folder, { recursive: true }));

test("the files are sound, fit together, and are their owner's alone", async () => {
  const dir = join(folder, "deep/trial");
  const steps = await initTrial(dir, { ...options, relayPort: 40_000, targetPort: 22 });
  const names = [
    "client.key",
    "client.yaml",
    "relay.key",
    "relay.yaml",
    "server.key",
    "server.yaml",
  ];
  expect(readdirSync(dir).sort()).toEqual(names);
  for (const name of names) expect(statSync(join(dir, name)).mode & 0o777, name).toBe(0o600);
  expect(statSync(dir).mode & 0o777).toBe(0o700);
  expect(steps).toContain(`culvert relay --config ${join(dir, "relay.yaml")}`);

  const [relay, server, client] = (["relay", "server", "client"] as const).map((role) => {
    const file = join(dir, `${role}.yaml`);
    expect(detectRole(file)).toBe(role);
    return loadConfig(role, { file });
  });
  if (relay?.role !== "relay" || server?.role !== "server" || client?.role !== "client") {
    throw new Error("a file is for another daemon than its name says");
  }
  const idOf = async (role: string) => (await loadIdentityFile(join(dir, `${role}.key`))).peerId;
  expect(relay.peers).toEqual([
    { name: "lan-box", id: await idOf("server"), role: "server" },
    { name: "laptop", id: await idOf("client"), role: "client" },
  ]);
  expect(relay.grants).toEqual([{ client: "laptop", server: "lan-box", services: ["22"] }]);
  expect(relay.listen).toEqual([{ host: "127.0.0.1", port: 40_000 }]);
  expect(relay.admin.listen).toEqual({ host: "127.0.0.1", port: 40_010 });
  expect(relay.web.https).toEqual([{ host: "127.0.0.1", port: 40_011 }]);
  for (const proxy of [server, client]) {
    expect(proxy.transports).toEqual(["quic", "wss"]);
    expect(proxy.relay).toMatchObject({
      address: { host: "127.0.0.1", port: 40_000 },
      wss: { host: "127.0.0.1", port: 40_011 },
      id: await idOf("relay"),
    });
  }
  expect(server.allow.map(({ text }) => text)).toEqual(["127.0.0.1:22"]);
  expect(client.forwards).toEqual([
    { listen: { host: "127.0.0.1", port: 30_381 }, to: { server: "lan-box", target: "22" } },
  ]);
  expect([relay, server, client].flatMap(configWarnings)).toEqual([]);
});

test.each([
  { transports: ["quic"] as const, udp: 1, tcp: 0 },
  { transports: ["wss"] as const, udp: 0, tcp: 1 },
  { transports: ["wss", "quic"] as const, udp: 1, tcp: 1 },
])("$transports alone are listened for and dialled", async ({ transports, udp, tcp }) => {
  await initTrial(folder, { ...options, transports });
  const relay = loadConfig("relay", { file: join(folder, "relay.yaml") });
  if (relay.role !== "relay") throw new Error("relay.yaml is for another daemon");
  expect([relay.listen.length, relay.web.https.length]).toEqual([udp, tcp]);
  for (const role of ["server", "client"] as const) {
    const config = loadConfig(role, { file: join(folder, `${role}.yaml`) });
    expect(config).toMatchObject({ transports });
    expect(configWarnings(config)).toEqual([]);
  }
});

test("by a link, the relay starts the server, and only the client dials", async () => {
  const program = ["/usr/bin/node", "/opt/culvert/it's here.js"];
  const how = { ...options, transports: ["norouter"], program } as const;
  const steps = await initTrial(folder, how);
  expect(steps).not.toContain("culvert server");
  const relay = loadRelayConfig({ file: join(folder, "relay.yaml") });
  const command = [...program, "agent", "--stdio", "--config", "server.yaml"];
  expect(relay.links).toEqual([{ name: "lan-box", command }]);
  expect(relay.listen).toHaveLength(1);
  const server = loadServerConfig({ file: join(folder, "server.yaml") });
  expect(server.transports).toEqual(["norouter"]);
  expect(server.relay?.address).toBeUndefined();
  const client = loadClientConfig({ file: join(folder, "client.yaml") });
  expect(client.transports).toEqual(["quic", "wss"]);
  for (const config of [relay, server, client]) expect(configWarnings(config)).toEqual([]);
});

test("nothing is overwritten, and nothing is written where something would be", async () => {
  writeFileSync(join(folder, "server.key"), "precious");
  await expect(initTrial(folder, options)).rejects.toMatchObject({
    code: "already_exists",
    message: expect.stringContaining(`${folder} has server.key already`) as string,
  });
  expect(readdirSync(folder)).toEqual(["server.key"]);
});

test("a folder that cannot be made is named", async () => {
  writeFileSync(join(folder, "file"), "");
  await expect(initTrial(join(folder, "file/trial"), options)).rejects.toMatchObject({
    code: "unwritable_file",
  });
});

test.each([
  [{ relayPort: 65_525 }, "leaves no room for the ports 10 and 11 above it"],
  [{ listenPort: 30_390 }, "port 30390 is the relay's admin port"],
  [{ targetPort: 30_391 }, "port 30391 is the relay's port for WebSocket"],
  [{ targetPort: 30_381 }, "--listen-port and --target-port are both 30381"],
  [{ clientName: "lan-box" }, "must differ"],
  [{ serverName: "Lan Box" }, "is not a name"],
])("%o is refused before anything is written", async (change, text) => {
  await expect(initTrial(folder, { ...options, ...change })).rejects.toThrow(text);
  expect(readdirSync(folder)).toEqual([]);
});
