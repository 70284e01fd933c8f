import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { Child } from "./support/child.ts";
import { useEcho } from "./support/connections.ts";
import { bundleAnew, culvertPath, unbundledPath } from "./support/culvert.ts";
import type { Role } from "./support/daemon.ts";
import { connectTcp, echoOnce, ending, readExactly, TestServer } from "./support/tcp.ts";
import { roles, useRunningTrial, type Trial } from "./support/trial.ts";
import { timed, waitUntil, within } from "./support/wait.ts";
import { counted, workCounts, type WorkCounts } from "./support/work-counts.ts";

// Counts, not times: they are the same on a slow, busy or fast machine. Each bound has room for what chance does, and none for the
// cost coming back that was taken away (docs/performance.md, "What costs what").

it("a connection costs few timers, signals and writes of its two log lines", async () => {
  const trial = await useRunningTrial(counted);
  await useEcho(trial);
  await connections(trial, 200);
  const before = await countsOf(trial);
  const { tookMs } = await timed(() => connections(trial, 1_000));
  const after = await countsOf(trial);
  // Where connections come slowly, a line finds no other to be written with, and what is done every so often shows.
  const mostLogWrites = Math.max(1, tookMs / gatherMs / 1_000);
  const timersByTime = tookMs / 40 / 1_000;
  for (const role of roles) {
    const each = (count: keyof WorkCounts) => (after[role][count] - before[role][count]) / 1_000;
    const text = `per connection at the ${role}`;
    console.log(
      `${text}: ${each("timers").toFixed(2)} timers, ${each("signals").toFixed(2)} signals, ${each("logWrites").toFixed(2)} log writes, ${each("datagrams").toFixed(1)} datagrams, ${each("bufferBytes").toFixed(0)} bytes of buffers`,
    );
    expect(each("timers"), `timers ${text}`).toBeLessThan(bounds[role].timers + timersByTime);
    expect(each("signals"), `abort controllers ${text}`).toBeLessThan(bounds[role].signals);
    // Two lines each, of which many are written together.
    expect(each("logWrites"), `writes of log lines ${text}`).toBeLessThan(mostLogWrites);
    expect(each("datagrams"), `datagrams ${text}`).toBeLessThan(bounds[role].datagrams);
    expect(each("datagrams"), `datagrams ${text}`).toBeGreaterThan(0.5);
    expect(each("bufferBytes"), `bytes of buffers ${text}`).toBeLessThan(400);
    expect(trial.daemon(role).named(`${role}.connection.opened`)).toHaveLength(1_200);
    expect(trial.daemon(role).named(`${role}.connection.closed`)).toHaveLength(1_200);
  }
});

it("a bulk transfer costs few turns, datagrams, buffers and timers, and hardly a full collection of garbage", async () => {
  const trial = await useRunningTrial(counted);
  const sink = await useSink(trial);
  await upload(trial, sink, 32);
  const before = await countsOf(trial);
  const mebibytes = 256;
  const { tookMs } = await timed(() => upload(trial, sink, mebibytes));
  const after = await countsOf(trial);
  const timersByTime = tookMs / 20 / mebibytes;
  for (const role of roles) {
    const most = bulkBounds[role];
    const each = (count: keyof WorkCounts) =>
      (after[role][count] - before[role][count]) / mebibytes;
    const text = `per MiB at the ${role}`;
    console.log(
      `${text}: ${each("turns").toFixed(1)} turns, ${each("datagrams").toFixed(1)} datagrams, ${(each("bufferBytes") / mebibyte).toFixed(3)} MiB of buffers, ${each("readsAndWrites").toFixed(1)} reads and writes, ${each("timers").toFixed(2)} timers; ${each("fullCollections") * mebibytes} full collections`,
    );
    expect(each("turns"), `turns ${text}`).toBeLessThan(24);
    // A turn acknowledges once, however many datagrams it took in.
    expect(each("datagrams"), `datagrams ${text}`).toBeLessThan(most.datagrams + each("turns"));
    expect(each("bufferBytes") / mebibyte, `MiB of buffers ${text}`).toBeLessThan(most.buffers);
    expect(each("readsAndWrites"), `reads and writes ${text}`).toBeLessThan(most.readsAndWrites);
    expect(each("timers"), `timers ${text}`).toBeLessThan(2 + timersByTime);
    expect(each("fullCollections") * mebibytes, `full collections at the ${role}`).toBeLessThan(8);
  }
});

it("an idle connection holds little of the heap", async () => {
  const trial = await useRunningTrial(counted);
  await useEcho(trial);
  await connections(trial, 400);
  const before = await countsOf(trial);
  const count = 1_000;
  const sockets = await Promise.all(Array.from({ length: count }, () => openIdle(trial)));
  const after = await countsOf(trial);
  expect(sockets.every((socket) => !socket.destroyed)).toBe(true);
  for (const role of roles) {
    const kib = (kind: "heapBytes" | "outsideBytes") =>
      (after[role][kind] - before[role][kind]) / count / 1024;
    const text = `for each idle connection at the ${role}`;
    console.log(
      `${text}: ${kib("heapBytes").toFixed(1)} KiB of heap, ${kib("outsideBytes").toFixed(1)} outside of it`,
    );
    expect(kib("heapBytes"), `KiB of heap ${text}`).toBeLessThan(bounds[role].heapKib);
    expect(kib("outsideBytes"), `KiB outside of the heap ${text}`).toBeLessThan(4);
  }
});

it("a command loads no more code than it needs", async () => {
  const version = await scriptsOf(unbundledPath, ["--version"]);
  console.log(`culvert --version loads ${version.length} files`);
  expect(version.length).toBeLessThan(40);
  expect(version.filter((file) => file.includes("/packages/quic/"))).toEqual([]);
  const trial = await useRunningTrial();
  await trial.daemon("client").stop();
  const args = ["client", "--config", trial.configFile("client")];
  const client = await scriptsOf(unbundledPath, args, "SIGTERM");
  expect(client.some((file) => file.includes("/packages/client-proxy/"))).toBe(true);
  for (const other of ["relay", "end-server-proxy"]) {
    expect(client.filter((file) => file.includes(`/packages/${other}/`))).toEqual([]);
  }
});

it("a daemon loads no code of what its configuration does without", async () => {
  const trial = await useRunningTrial();
  for (const role of ["client", "server", "relay"] as const) {
    // The relay last: the others are ready once they are attached to it.
    await trial.daemon(role).stop();
    const args = [role, "--config", trial.configFile(role)];
    const files = await scriptsOf(unbundledPath, args, "SIGTERM");
    console.log(`culvert ${role} loads ${files.length} files`);
    expect(files.length, `files of code at the ${role}`).toBeLessThan(mostFiles[role]);
    for (const part of ["node_modules/jose", "relay/dist/telebit", "acme-client"]) {
      const loaded = files.filter((file) => file.includes(`/${part}/`));
      expect(loaded, `${part} at the ${role}`).toEqual([]);
    }
  }
});

it("a bundled command loads few files", async () => {
  await bundleAnew();
  const trial = await useRunningTrial();
  const count = async (args: readonly string[], signal?: NodeJS.Signals): Promise<number> => {
    const files = await scriptsOf(culvertPath, args, signal);
    console.log(`culvert ${args[0]} loads ${files.length} files, bundled`);
    expect(files.filter((file) => file.includes("/dist/bundle/"))).not.toEqual([]);
    // Beside the bundle only what starts it, and what brings an addon along.
    const others = files.filter((file) => !besideBundle.test(file));
    expect(others, `files beside the bundle of culvert ${args[0]}`).toEqual([]);
    return files.length;
  };
  expect(await count(["--version"])).toBeLessThan(12);
  for (const role of ["client", "server", "relay"] as const) {
    await trial.daemon(role).stop();
    const files = await count([role, "--config", trial.configFile(role)], "SIGTERM");
    expect(files, `files of code at the ${role}`).toBeLessThan(50);
  }
});

const besideBundle = /\/(dist\/bundle|cli\/bin|@matrixai|bufferutil|node-gyp-build)\//;

/** Of the trial's daemons, which load about 880, 870 and 850; jose would be 46 more. */
const mostFiles: Readonly<Record<Role, number>> = { relay: 900, server: 890, client: 870 };

const bounds: Readonly<
  Record<Role, { timers: number; signals: number; datagrams: number; heapKib: number }>
> = {
  relay: { timers: 4.2, signals: 1.2, datagrams: 6.4, heapKib: 11.5 },
  server: { timers: 3, signals: 2.2, datagrams: 3.8, heapKib: 11 },
  client: { timers: 3, signals: 1.2, datagrams: 2.9, heapKib: 10 },
};

/** Per MiB that client, relay and server carry in this order; datagrams beside the acknowledgements. */
const bulkBounds: Readonly<
  Record<Role, { datagrams: number; buffers: number; readsAndWrites: number }>
> = {
  // With datagrams of 16 KiB, 65 carry a mebibyte; streams are read into 16 buffers of 64 KiB, and so is TCP.
  relay: { datagrams: 72, buffers: 1.15, readsAndWrites: 4 },
  server: { datagrams: 2, buffers: 1.15, readsAndWrites: 40 },
  client: { datagrams: 72, buffers: 0.1, readsAndWrites: 40 },
};

async function countsOf(trial: Trial): Promise<Readonly<Record<Role, WorkCounts>>> {
  const [relay, server, client] = await Promise.all([
    workCounts(trial.daemon("relay"), trial.folder),
    workCounts(trial.daemon("server"), trial.folder),
    workCounts(trial.daemon("client"), trial.folder),
  ]);
  return { relay, server, client };
}

/** New connections, 16 at a time, each carrying a line there and back; resolves when the daemons have logged their ends. */
async function connections(trial: Trial, count: number): Promise<void> {
  const before = closed(trial);
  let left = count;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await echoOnce(trial.listenPort, 10_000);
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  await waitUntil("all ends logged", () => closed(trial) === before + count * roles.length, {
    withinMs: 10_000,
  });
}

function closed(trial: Trial): number {
  return roles.reduce(
    (sum, role) => sum + trial.daemon(role).named(`${role}.connection.closed`).length,
    0,
  );
}

async function openIdle(trial: Trial): Promise<Socket> {
  const socket = await connectTcp(trial.listenPort, 20_000);
  onTestFinished(() => {
    socket.destroy();
  });
  socket.write("x");
  await readExactly(socket, 1, 20_000);
  return socket;
}

/** A server at the trial's target port that counts what it gets and answers an end with an end. */
async function useSink(trial: Trial): Promise<{ bytes: number }> {
  const got = { bytes: 0 };
  const server = await new TestServer((socket) => {
    socket.on("data", (chunk) => (got.bytes += chunk.length));
    socket.on("end", () => socket.end());
  }).listen(trial.targetPort);
  onTestFinished(() => server.close());
  return got;
}

async function upload(trial: Trial, sink: { bytes: number }, mebibytes: number): Promise<void> {
  const total = sink.bytes + mebibytes * mebibyte;
  const socket = await connectTcp(trial.listenPort);
  const chunk = Buffer.alloc(mebibyte / 4, "x");
  for (let sent = 0; sent < mebibytes * 4; sent += 1) {
    if (!socket.write(chunk)) await within(30_000, "room for more", once(socket, "drain"));
  }
  socket.end();
  expect(await ending(socket, 60_000)).toBe("end");
  expect(sink.bytes).toBe(total);
}

/** The files of code that a run of the program loads, told by V8's coverage; one that does not end by itself gets the signal once ready. */
async function scriptsOf(
  program: string,
  args: readonly string[],
  signal?: NodeJS.Signals,
): Promise<readonly string[]> {
  const folder = await mkdtemp(join(tmpdir(), "culvert-scripts-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const env = { NODE_V8_COVERAGE: folder };
  const child = new Child(process.execPath, [program, ...args], { env });
  child.stderr.resume();
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString("utf8")));
  if (signal !== undefined) {
    await waitUntil("the ready line", () => said.includes("ready "), { withinMs: 15_000 });
    child.signal(signal);
  }
  await within(20_000, "its end", child.exited);
  const files = await readdir(folder);
  const reports = await Promise.all(files.map((name) => readFile(join(folder, name), "utf8")));
  return reports
    .flatMap((text) => (JSON.parse(text) as { result: { url: string }[] }).result)
    .map(({ url }) => url)
    .filter((url) => url.startsWith("file:"));
}

/** How long a line may wait for others. */
const gatherMs = 20;
const mebibyte = 1_048_576;
