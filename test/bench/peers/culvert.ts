import { mkdirSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import type { Child } from "../../support/child.ts";
import { culvert, culvertPath } from "../../support/culvert.ts";
import { waitUntil } from "../../support/wait.ts";
import { output } from "../crew.ts";
import { localEntrances, type Peer, type Running, type StartContext } from "./peer.ts";

/** How ours is run. */
export interface CulvertOptions {
  /** Undefined: the default, `auto`. */
  readonly engine?: "quiche" | "quinn" | undefined;
  /** Largest UDP payload of the quiche engine; undefined: the default, `auto`. */
  readonly datagramBytes?: number | undefined;
  /** Writes a CPU profile of each process into this folder when it ends. */
  readonly profileFolder?: string | undefined;
}

/** Ours: three processes of `culvert`, configured by `culvert init` and two lines for the second lane. */
export function culvertPeer(options: CulvertOptions = {}): Peer {
  return {
    name: "culvert",
    title: options.engine === undefined ? "Culvert" : `Culvert (${options.engine})`,
    programs: [],
    async start(context) {
      await writeConfiguration(context, options);
      return startAll(context, options);
    },
  };
}

type Role = "relay" | "server" | "client";
type Config = Record<string, unknown>;

async function startAll(context: StartContext, options: CulvertOptions): Promise<Running> {
  let relay = launch(context, "relay", options);
  await ready(relay, "relay");
  const server = launch(context, "server", options);
  await ready(server, "server");
  const client = launch(context, "client", options);
  await ready(client, "client");
  return {
    entrances: localEntrances(context),
    processes: () => ({ client, relay, server }),
    endRelay: (signal) => context.crew.end(relay, signal),
    startRelay: () => {
      relay = launch(context, "relay", options);
    },
  };
}

function launch(context: StartContext, role: Role, { profileFolder }: CulvertOptions): Child {
  const { relayPrefix, edgePrefix } = context.place;
  const profile =
    profileFolder === undefined
      ? []
      : ["--cpu-prof", `--cpu-prof-dir=${profileFolder}`, `--cpu-prof-name=${profileName(role)}`];
  if (profileFolder !== undefined) mkdirSync(profileFolder, { recursive: true });
  return context.crew.start(
    role === "relay" ? relayPrefix : edgePrefix,
    process.execPath,
    [...profile, culvertPath, role, "--config", join(context.folder, `${role}.yaml`)],
    { cwd: context.folder },
  );
}

let profiles = 0;

function profileName(role: Role): string {
  profiles += 1;
  return `${role}-${process.pid}-${profiles}.cpuprofile`;
}

async function ready(child: Child, role: Role): Promise<void> {
  await waitUntil(
    `ready line of ${role}`,
    () => {
      if (!child.running) throw new Error(`${role} ended: ${output(child)}`);
      return new RegExp(`^ready ${role} `, "m").test(output(child));
    },
    { withinMs: 15_000, everyMs: 5 },
  );
}

async function writeConfiguration(context: StartContext, options: CulvertOptions): Promise<void> {
  const { folder, relayPort, entrances, targets, place } = context;
  const ports = [
    ...["--relay-port", String(relayPort)],
    ...["--listen-port", String(entrances.echo)],
    ...["--target-port", String(targets.echo)],
  ];
  const made = await culvert(["init", folder, ...ports]);
  if (made.code !== 0) throw new Error(`culvert init: ${made.stdout}${made.stderr}`);
  const relay = `${place.relayAddress}:${relayPort}`;
  await edit(join(folder, "relay.yaml"), (config) => {
    config["listen"] = [relay];
    const [grant] = config["grants"] as { services: string[] }[];
    grant?.services.push(String(targets.bulk));
    setQuic(config, options);
    if (options.engine === "quiche") quic(config)["allowQuicheListener"] = true;
  });
  await edit(join(folder, "server.yaml"), (config) => {
    (config["relay"] as Config)["address"] = relay;
    (config["allow"] as string[]).push(`127.0.0.1:${targets.bulk}`);
    setQuic(config, options);
  });
  await edit(join(folder, "client.yaml"), (config) => {
    (config["relay"] as Config)["address"] = relay;
    const server = (config["forwards"] as { to: string }[])[0]?.to.split(":")[0] ?? "";
    (config["forwards"] as Config[]).push({
      listen: `127.0.0.1:${entrances.bulk}`,
      to: `${server}:${targets.bulk}`,
    });
    setQuic(config, options);
  });
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
