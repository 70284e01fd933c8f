import { mkdirSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse, stringify } from "yaml";
import type { Child } from "../../support/child.ts";
import { culvert, culvertPath } from "../../support/culvert.ts";
import { waitUntil } from "../../support/wait.ts";
import { output } from "../crew.ts";
import { fleetFile, prepareFleet } from "../growth/fleet-orders.ts";
import { localEntrances, type Peer, type Running, type StartContext } from "./peer.ts";

/** How ours is run. */
export interface CulvertOptions {
  /** Undefined: the default, `auto`. */
  readonly engine?: "quiche" | "quinn" | undefined;
  /** What carries the sessions; undefined: QUIC. `norouter`: that of the server, which the relay starts by a link. */
  readonly transport?: CulvertTransport | undefined;
  /** Largest UDP payload of the quiche engine; undefined: the default, `auto`. */
  readonly datagramBytes?: number | undefined;
  /** Writes a CPU profile of each process into this folder when it ends. */
  readonly profileFolder?: string | undefined;
  /** The `culvert` script of another checkout, built; undefined: that of this one. */
  readonly script?: string | undefined;
  /** So many servers attached besides the one that is used, all in one more process. */
  readonly fleet?: number | undefined;
}

/** What can carry our sessions. */
export type CulvertTransport = "quic" | "wss" | "norouter";

/** Ours: three processes of `culvert`, configured by `culvert init` and two lines for the second lane. */
export function culvertPeer(options: CulvertOptions = {}): Peer {
  return {
    name: "culvert",
    title: title(options),
    programs: [],
    ...(options.transport === "wss" ? { bulkAim: { atLeastTimes: 1 } } : {}),
    async start(context) {
      await writeConfiguration(context, options);
      return startAll(context, options);
    },
  };
}

function title({ engine, transport }: CulvertOptions): string {
  if (transport === "wss") return "Culvert (WebSocket)";
  if (transport === "norouter") return "Culvert (server by a link)";
  return engine === undefined ? "Culvert" : `Culvert (${engine})`;
}

type Role = "relay" | "server" | "client";
type Config = Record<string, unknown>;

async function startAll(context: StartContext, options: CulvertOptions): Promise<Running> {
  let relay = launch(context, "relay", options);
  await ready(relay, "relay");
  // A link's command is a child of the relay, and what it uses counts there.
  const server =
    options.transport === "norouter" ? {} : { server: launch(context, "server", options) };
  if (server.server !== undefined) await ready(server.server, "server");
  const client = launch(context, "client", options);
  await ready(client, "client");
  if (options.fleet !== undefined) await startFleet(context);
  return {
    entrances: localEntrances(context),
    processes: () => ({ client, relay, ...server }),
    endRelay: (signal) => context.crew.end(relay, signal),
    startRelay: () => {
      relay = launch(context, "relay", options);
    },
  };
}

function launch(context: StartContext, role: Role, options: CulvertOptions): Child {
  const { script = culvertPath } = options;
  const { relayPrefix, edgePrefix } = context.place;
  return context.crew.start(
    role === "relay" ? relayPrefix : edgePrefix,
    process.execPath,
    [
      ...profileFlags(role, options),
      script,
      role,
      "--config",
      join(context.folder, `${role}.yaml`),
    ],
    { cwd: context.folder },
  );
}

function profileFlags(role: Role, { profileFolder }: CulvertOptions): readonly string[] {
  if (profileFolder === undefined) return [];
  mkdirSync(profileFolder, { recursive: true });
  const name = `--cpu-prof-name=${profileName(role)}`;
  return ["--cpu-prof", `--cpu-prof-dir=${profileFolder}`, name];
}

/** Starts the process of the attached servers, whose orders {@link prepareFleet} wrote, and waits until all are attached. */
async function startFleet({ crew, place, folder }: StartContext): Promise<void> {
  const script = fileURLToPath(new URL("../growth/fleet.ts", import.meta.url));
  const node = ["--conditions=@culvert/source", "--import", import.meta.resolve("tsx"), script];
  const orders = join(folder, fleetFile);
  await ready(crew.start(place.edgePrefix, process.execPath, [...node, orders]), "fleet", 60_000);
}

let profiles = 0;

function profileName(role: Role): string {
  profiles += 1;
  return `${role}-${process.pid}-${profiles}.cpuprofile`;
}

async function ready(child: Child, role: string, withinMs = 15_000): Promise<void> {
  await waitUntil(
    `ready line of ${role}`,
    () => {
      if (!child.running) throw new Error(`${role} ended: ${output(child)}`);
      return new RegExp(`^ready ${role} `, "m").test(output(child));
    },
    { withinMs, everyMs: 5 },
  );
}

async function writeConfiguration(context: StartContext, options: CulvertOptions): Promise<void> {
  const { folder, relayPort, entrances, targets, place } = context;
  const ports = [
    ...["--relay-port", String(relayPort)],
    ...["--listen-port", String(entrances.echo)],
    ...["--target-port", String(targets.echo)],
  ];
  const { transport = "quic" } = options;
  const made = await culvert(["init", folder, ...ports, "--transport", transport]);
  if (made.code !== 0) throw new Error(`culvert init: ${made.stdout}${made.stderr}`);
  const relay = `${place.relayAddress}:${relayPort}`;
  const webPort = relayPort + 11;
  const dialled: Config =
    transport === "wss" ? { wss: `${place.relayAddress}:${webPort}` } : { address: relay };
  const server = parse(await readFile(join(folder, "server.yaml"), "utf8")) as Config;
  const fleet = await prepareFleet(folder, options.fleet ?? 0, {
    relay: { host: place.relayAddress, port: relayPort },
    relayId: String((server["relay"] as Config)["id"]),
    engine: options.engine ?? "auto",
  });
  await edit(join(folder, "relay.yaml"), (config) => {
    if (transport === "wss") config["web"] = { https: [`${place.relayAddress}:${webPort}`] };
    else config["listen"] = [relay];
    if (transport === "norouter") setLink(config, context, options);
    (config["peers"] as unknown[]).push(...fleet);
    const [grant] = config["grants"] as { services: string[] }[];
    grant?.services.push(String(targets.bulk));
    setQuic(config, options);
    if (options.engine === "quiche") quic(config)["allowQuicheListener"] = true;
  });
  await edit(join(folder, "server.yaml"), (config) => {
    if (transport !== "norouter") dialBy(config, transport, dialled);
    (config["allow"] as string[]).push(`127.0.0.1:${targets.bulk}`);
    setQuic(config, options);
  });
  await edit(join(folder, "client.yaml"), (config) => {
    dialBy(config, transport, dialled);
    const server = (config["forwards"] as { to: string }[])[0]?.to.split(":")[0] ?? "";
    (config["forwards"] as Config[]).push({
      listen: `127.0.0.1:${entrances.bulk}`,
      to: `${server}:${targets.bulk}`,
    });
    setQuic(config, options);
  });
}

function dialBy(config: Config, transport: CulvertTransport, relay: Config): void {
  Object.assign(config["relay"] as Config, relay);
  // The default, which checkouts from before there was a choice can read too.
  if (transport === "quic") delete config["transports"];
  if (transport === "norouter") config["transports"] = ["quic"];
}

/** The link's command runs where the server belongs, and by the script that is measured. */
function setLink(config: Config, { place }: StartContext, options: CulvertOptions): void {
  const [link] = config["links"] as { command: string[] }[];
  if (link === undefined) throw new Error("culvert init wrote no link");
  const { script = culvertPath } = options;
  const agent = ["agent", "--stdio", "--config", "server.yaml"];
  link.command = [
    ...place.edgePrefix,
    process.execPath,
    ...profileFlags("server", options),
    script,
    ...agent,
  ];
}

function setQuic(config: Config, { engine, datagramBytes }: CulvertOptions): void {
  if (engine !== undefined) quic(config)["engine"] = engine;
  if (datagramBytes !== undefined) quic(config)["datagramBytes"] = datagramBytes;
}

function quic(config: Config): Config {
  config["quic"] ??= {};
  return config["quic"] as Config;
}

async function edit(file: string, change: (config: Config) => void): Promise<void> {
  const config = parse(await readFile(file, "utf8")) as Config;
  change(config);
  await writeFile(file, stringify(config));
}
