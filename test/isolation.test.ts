import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { describe, expect, it, onTestFailed, onTestFinished } from "vitest";
import { stringify } from "yaml";
import type { ClientStatus } from "@culvert/client-proxy";
import type { EndServerStatus } from "@culvert/end-server-proxy";
import { queryStatus } from "@culvert/telemetry";
import { culvert } from "./support/culvert.ts";
import { startDaemon, type Daemon } from "./support/daemon.ts";
import { freePort } from "./support/ports.ts";
import { connectTcp, digest, echoServer, ending, readExactly, sendRandom } from "./support/tcp.ts";
import { useTrial, type Config, type Trial } from "./support/trial.ts";
import { waitUntil } from "./support/wait.ts";

const serverNames = ["lan-box", "nas", "lab"] as const;
const clientNames = ["laptop", "tablet"] as const;
type ServerName = (typeof serverNames)[number];
type ClientName = (typeof clientNames)[number];

/** Who may reach what. The laptop shares no server with the tablet. */
const granted: Readonly<Record<ClientName, readonly ServerName[]>> = {
  laptop: ["lan-box", "nas"],
  tablet: ["lab"],
};

describe("two clients and three servers on one relay", () => {
  it("leads every connection to its own server, all at once", async () => {
    const world = await useWorld();
    const transfers = everyGrant().flatMap(([client, server]) =>
      Array.from({ length: 4 }, async () => {
        const socket = await connectTcp(world.forwards[client][server]!);
        const greeting = await readExactly(socket, server.length + 1, 5_000, "the server's name");
        expect(greeting.toString()).toBe(`${server}\n`);
        const [sent, received] = await Promise.all([
          sendRandom(socket, 3 * 1024 * 1024, 10_000),
          digest(socket),
        ]);
        expect(received).toEqual(sent);
        socket.destroy();
      }),
    );
    await Promise.all(transfers);
    await waitUntil("nothing left", async () => {
      return (await world.trial.status("relay")).connections.length === 0;
    });
    for (const event of world.trial.daemon("relay").named("relay.connection.closed")) {
      const { client, server } = event as unknown as { client: ClientName; server: ServerName };
      expect(granted[client]).toContain(server);
    }
  });

  it("answers alike for a server that is not granted and one that does not exist", async () => {
    const world = await useWorld();
    const port = String(world.targets["lan-box"]);
    const tells = async (server: string, target: string): Promise<string> => {
      const args = ["connect", `${server}:${target}`, "--config", world.file("tablet")];
      const result = await culvert(args);
      expect(result.code).toBe(1);
      expect(result.stdout).toBe("");
      return result.stderr
        .replaceAll(server, "SERVER")
        .replaceAll(target, "TARGET")
        .replaceAll(/"(?:time|pid|durationMs)":\d+|[0-9a-f]{32}/g, "");
    };
    const absent = await tells("no-such-server", port);
    expect(await tells("lan-box", port)).toBe(absent);
    expect(await tells("nas", port)).toBe(absent);
    // Nor does it matter whether the server that is not granted is there.
    await world.daemons.nas.stop();
    expect(await tells("nas", port)).toBe(absent);
    // The servers were not even asked.
    for (const name of serverNames) {
      expect(world.daemons[name].named("server.connection.refused")).toEqual([]);
    }
  });

  it("closes a mapping to a server that is not granted, without a word of that server", async () => {
    const world = await useWorld();
    const socket = await connectTcp(world.stray);
    socket.write("let me in");
    await ending(socket, 1_000);
    const refused = world.daemons.tablet.named("client.connection.refused");
    expect(refused.at(-1)).toMatchObject({ status: "permission_denied_by_relay" });
    expect(world.targetsAccepted()).toBe(0);
  });

  it("shows each of them nothing but its own", async () => {
    const world = await useWorld();
    const open = await Promise.all(
      everyGrant().map(async ([client, server]) => {
        const socket = await connectTcp(world.forwards[client][server]!);
        onTestFinished(() => {
          socket.destroy();
        });
        socket.write(randomBytes(100));
        await readExactly(socket, server.length + 1 + 100, 5_000);
        return { client, server };
      }),
    );
    const relay = await world.trial.status("relay");
    expect(relay.connections).toHaveLength(open.length);

    for (const client of clientNames) {
      const status = (await queryStatus(world.socket(client))) as ClientStatus;
      const seen = status.connections.map(({ server }) => server).sort();
      expect(seen).toEqual([...granted[client]].sort());
      const others = [...serverNames.filter((name) => !granted[client].includes(name))];
      const hidden = [...others, ...clientNames.filter((name) => name !== client)];
      // The stray mapping of the tablet's own configuration names a server; the relay must not have confirmed it.
      if (client === "laptop") world.expectUnknownTo(client, JSON.stringify(status), hidden);
      world.expectUnknownTo(client, world.daemons[client].log(), hidden, ["lan-box"]);
    }
    for (const server of serverNames) {
      const status = (await queryStatus(world.socket(server))) as EndServerStatus;
      const clients = clientNames.filter((client) => granted[client].includes(server));
      expect(status.connections.map(({ client }) => client)).toEqual(clients);
      const hidden = [
        ...serverNames.filter((name) => name !== server),
        ...clientNames.filter((name) => !clients.includes(name)),
      ];
      world.expectUnknownTo(server, JSON.stringify(status), hidden);
      world.expectUnknownTo(server, world.daemons[server].log(), hidden);
    }
  });

  it("leaves the others alone when one server or client is killed", async () => {
    const world = await useWorld();
    const socket = await connectTcp(world.forwards.laptop["lan-box"]!);
    await readExactly(socket, "lan-box\n".length, 5_000);
    await world.daemons.lab.kill();
    await world.daemons.tablet.kill();
    for (let round = 0; round < 100; round += 1) {
      const bytes = randomBytes(10_000);
      socket.write(bytes);
      expect((await readExactly(socket, bytes.length, 3_000)).equals(bytes)).toBe(true);
    }
    socket.destroy();
    expect(world.daemons.laptop.named("client.detached")).toEqual([]);
    expect(world.daemons["lan-box"].named("server.detached")).toEqual([]);
  });
});

interface World {
  readonly trial: Trial;
  readonly daemons: Readonly<Record<ServerName | ClientName, Daemon>>;
  readonly targets: Readonly<Record<ServerName, number>>;
  /** Local ports of the clients, by client and server. */
  readonly forwards: Readonly<Record<ClientName, Readonly<Partial<Record<ServerName, number>>>>>;
  /** A mapping of the tablet to a server that it is not granted. */
  readonly stray: number;
  file(name: string): string;
  socket(name: string): string;
  targetsAccepted(): number;
  /** Neither the names nor the peer ids of others stand in what someone was told. */
  expectUnknownTo(
    who: string,
    text: string,
    others: readonly string[],
    except?: readonly string[],
  ): void;
}

function everyGrant(): readonly (readonly [ClientName, ServerName])[] {
  return clientNames.flatMap((client) =>
    granted[client].map((server) => [client, server] as const),
  );
}

async function useWorld(): Promise<World> {
  const trial = await useTrial();
  const file = (name: string): string => trial.path(`${name}.yaml`);
  const ids: Record<string, string> = {};
  for (const name of [...serverNames, ...clientNames]) ids[name] = await generateKey(trial, name);

  const targets = Object.fromEntries(
    await Promise.all(serverNames.map(async (name) => [name, await freePort()])),
  ) as Record<ServerName, number>;
  const echoes = await Promise.all(
    serverNames.map((name) => echoServer(targets[name], `${name}\n`)),
  );
  onTestFinished(async () => {
    await Promise.all(echoes.map((echo) => echo.close()));
  });

  let relayEnd: unknown;
  await trial.edit("client", (config) => {
    relayEnd = config["relay"];
  });
  const write = (name: string, config: Config): Promise<void> => {
    const identity = { keyFile: trial.path(`${name}.key`) };
    return writeFile(file(name), stringify({ name, identity, relay: relayEnd, ...config }));
  };
  await trial.edit("relay", (config) => {
    config["peers"] = [
      ...serverNames.map((name) => ({ name, id: ids[name], role: "server" })),
      ...clientNames.map((name) => ({ name, id: ids[name], role: "client" })),
    ];
    config["grants"] = everyGrant().map(([client, server]) => ({
      client,
      server,
      services: [targets[server]],
    }));
  });
  for (const name of serverNames) await write(name, { allow: [`127.0.0.1:${targets[name]}`] });

  const forwards: Record<ClientName, Partial<Record<ServerName, number>>> = {
    laptop: {},
    tablet: {},
  };
  const stray = await freePort();
  for (const name of clientNames) {
    const mappings: Config[] = [];
    for (const server of granted[name]) {
      const port = await freePort();
      forwards[name][server] = port;
      mappings.push({ listen: `127.0.0.1:${port}`, to: `${server}:${targets[server]}` });
    }
    if (name === "tablet") {
      mappings.push({ listen: `127.0.0.1:${stray}`, to: `lan-box:${targets["lan-box"]}` });
    }
    await write(name, { forwards: mappings });
  }

  await trial.start(["relay"]);
  const daemons = {} as Record<ServerName | ClientName, Daemon>;
  onTestFinished(async () => {
    await Promise.all(Object.values(daemons).map((daemon) => daemon.kill()));
  });
  onTestFailed(() => {
    for (const daemon of Object.values(daemons)) console.error(daemon.log());
  });
  for (const name of serverNames) daemons[name] = await startDaemon("server", file(name));
  for (const name of clientNames) daemons[name] = await startDaemon("client", file(name));
  await trial.attached();

  return {
    trial,
    daemons,
    targets,
    forwards,
    stray,
    file,
    socket: (name) => trial.path(`${name}.sock`),
    targetsAccepted: () => echoes.reduce((sum, echo) => sum + echo.accepted, 0),
    expectUnknownTo(who, text, others, except = []) {
      for (const other of others) {
        expect(text, `${who} was told of ${other}`).not.toContain(ids[other]);
        if (except.includes(other)) continue;
        expect(text, `${who} was told of ${other}`).not.toMatch(new RegExp(`\\b${other}\\b`));
      }
    },
  };
}

/** Makes a key file and gives the peer id that the command prints. */
async function generateKey(trial: Trial, name: string): Promise<string> {
  const keyFile = trial.path(`${name}.key`);
  const made = await culvert(["key", "generate", keyFile]);
  const id = /12D3KooW\w{44}/.exec(made.stdout)?.[0];
  if (made.code !== 0 || id === undefined) {
    throw new Error(`culvert key generate: ${made.stdout}${made.stderr}`);
  }
  return id;
}
