/**
 * What many public connections cost: opens them at a public port of a relay, from several addresses, each answered once by a service
 * behind a server, lets them rest, and asks every one of them again.
 *
 *     npm run build && node --conditions=@culvert/source --import tsx test/bench/public-connections.ts [count]
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse, stringify } from "yaml";
import { millis, sleep, systemClock } from "@culvert/runtime";
import { Child } from "../support/child.ts";
import { culvert, culvertPath } from "../support/culvert.ts";
import { freePort } from "../support/ports.ts";
import { waitUntil } from "../support/wait.ts";
import { processUse } from "./process-use.ts";

type Config = Record<string, unknown>;

/** Connections of one address, below the limit of each. */
const perAddress = 1_000;
const atATime = 64;
const restSeconds = 10;

if (process.argv[2] === "service") serve(Number(process.argv[3]));
else await measure(Number(process.argv[2] ?? 10_000));

/** Says every byte back. A process of its own, since each needs as many open files as there are connections. */
function serve(port: number): void {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  server.listen({ port, host: "127.0.0.1", backlog: 1_024 }, () => process.stdout.write("ready\n"));
  process.stdin.on("end", () => process.exit(0)).resume();
}

async function measure(count: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "culvert-bench-"));
  const children: Child[] = [];
  try {
    const [publicPort, servicePort] = [await freePort(), await freePort()];
    await configure(folder, { publicPort, servicePort, count });
    const self = fileURLToPath(import.meta.url);
    const tsx = ["--conditions=@culvert/source", "--import", import.meta.resolve("tsx"), self];
    const start = async (args: readonly string[], line: RegExp): Promise<Child> => {
      const child = new Child(process.execPath, args, { cwd: folder });
      children.push(child);
      let said = "";
      child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
      child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString().slice(0, 2_000)));
      await waitUntil(`${args.at(-1)} is ready`, () => line.test(said), { withinMs: 30_000 });
      return child;
    };
    await start([...tsx, "service", String(servicePort)], /ready/);
    const daemon = (role: string): Promise<Child> =>
      start([culvertPath, role, "--config", join(folder, `${role}.yaml`)], /^ready /m);
    const [relay, server] = [await daemon("relay"), await daemon("server")];
    await run(count, publicPort, { relay, server });
  } finally {
    for (const child of children.reverse()) await child.end();
    await rm(folder, { recursive: true, force: true });
  }
}

async function configure(
  folder: string,
  { publicPort, servicePort, count }: { publicPort: number; servicePort: number; count: number },
): Promise<void> {
  const made = await culvert(["init", folder, "--relay-port", String(await freePort())]);
  if (made.code !== 0) throw new Error(made.stderr);
  const edit = async (role: string, change: (config: Config) => void): Promise<void> => {
    const file = join(folder, `${role}.yaml`);
    const config = parse(await readFile(file, "utf8")) as Config;
    config["log"] = { level: "warn" };
    change(config);
    await writeFile(file, stringify(config));
  };
  const room = count + 1_000;
  await edit("relay", (config) => {
    config["public"] = { ports: [{ server: "lan-box", listen: `127.0.0.1:${publicPort}` }] };
    config["limits"] = { publicConnections: room, connectionsPerServer: room };
  });
  await edit("server", (config) => {
    config["expose"] = [{ port: publicPort, to: `127.0.0.1:${servicePort}` }];
    config["limits"] = { connections: room };
    config["transports"] = ["quic"];
  });
}

async function run(
  count: number,
  port: number,
  daemons: Readonly<Record<"relay" | "server", Child>>,
): Promise<void> {
  const use = (name: "relay" | "server") => processUse(daemons[name].pid);
  const before = { relay: use("relay"), server: use("server") };
  const sockets: Socket[] = [];
  let failed = 0;
  const began = systemClock.now();
  let next = 0;
  const opener = async (): Promise<void> => {
    while (next < count) {
      const index = next++;
      try {
        const socket = await dial(port, `127.0.1.${1 + Math.floor(index / perAddress)}`);
        await asked(socket);
        sockets.push(socket);
      } catch {
        failed += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: atATime }, opener));
  const openMs = systemClock.now() - began;
  const open = { relay: use("relay"), server: use("server") };
  await sleep(systemClock, millis(restSeconds * 1_000));
  const rested = { relay: use("relay"), server: use("server") };
  const times: number[] = [];
  for (let probe = 0; probe < 100; probe += 1) {
    const from = systemClock.now();
    const socket = await dial(port, "127.0.1.200");
    await asked(socket);
    times.push(systemClock.now() - from);
    socket.destroy();
  }
  times.sort((one, other) => one - other);
  const lost = await again(sockets);
  for (const socket of sockets) socket.destroy();
  const show = (text: string): void => void process.stdout.write(`${text}\n`);
  show(`${sockets.length} of ${count} connections open, ${failed} failed, ${lost} lost later`);
  show(
    `opened in ${(openMs / 1_000).toFixed(1)} s, ${((count / openMs) * 1_000).toFixed(0)} per second`,
  );
  for (const name of ["relay", "server"] as const) {
    const cpu = (open[name].cpuSeconds - before[name].cpuSeconds) / sockets.length;
    const memory = (open[name].rssBytes - before[name].rssBytes) / sockets.length;
    const idle = (rested[name].cpuSeconds - open[name].cpuSeconds) / restSeconds;
    show(
      `${name}: ${(cpu * 1_000).toFixed(2)} ms CPU and ${(memory / 1_024).toFixed(1)} KiB for each, ${(idle * 100).toFixed(1)} % of a core at rest`,
    );
  }
  show(
    `one more, to its first byte: p50 ${times[50]?.toFixed(1)} ms, p99 ${times[98]?.toFixed(1)} ms`,
  );
}

function dial(port: number, localAddress: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", localAddress });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      socket.on("error", () => undefined);
      resolve(socket);
    });
  });
}

/** Sends a byte and waits for it to come back. */
function asked(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    const onClose = (): void => reject(new Error("closed"));
    socket.once("close", onClose);
    socket.once("data", () => {
      socket.off("close", onClose);
      resolve();
    });
    socket.write("x");
  });
}

/** Asks every connection once more; gives how many do not answer. */
async function again(sockets: readonly Socket[]): Promise<number> {
  let lost = 0;
  for (let at = 0; at < sockets.length; at += atATime) {
    const some = sockets.slice(at, at + atATime);
    const answers = await Promise.allSettled(
      some.map((socket) => (socket.destroyed ? Promise.reject(new Error("gone")) : asked(socket))),
    );
    lost += answers.filter(({ status }) => status === "rejected").length;
  }
  return lost;
}
