import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import { createServer as createTcpServer, type Server } from "node:net";
import { Netstack } from "@culvert/netstack";
import { splice, systemClock, systemRandom, tcpByteStream } from "@culvert/runtime";
import { PacketLink, type PacketLinkOptions } from "@culvert/testkit";
import { describe, expect, it, onTestFinished } from "vitest";
import { Child, run } from "./support/child.ts";
import { makeNamespace, removeNamespace, type Namespace } from "./support/namespace.ts";
import { freePort } from "./support/ports.ts";
import { missing, notRoot } from "./support/requires.ts";
import { connectTcp, digest, sendRandom } from "./support/tcp.ts";
import { endWithTest, useTempFolder } from "./support/temp-folder.ts";
import { TunDevice } from "./support/tun-device.ts";
import { waitUntil, within } from "./support/wait.ts";

const kernelAddress = "10.78.0.1";
const stackAddress = "10.78.0.2";
const mebibyte = 1024 * 1024;
const impossible =
  notRoot("a TUN device") || missing("ip", "perl", "curl", "iperf3", "nc", "iptables", "ss");

/** What lies between the kernel and the stack. */
interface Path {
  readonly name: string;
  readonly mtu: number;
  /** Misfortunes on the way, each way; none if absent. */
  readonly link?: Omit<PacketLinkOptions, "clock" | "random">;
  /** Share of packets the kernel drops, those it sends and those it gets. */
  readonly kernelLoss?: number;
  /** Settings of the kernel's TCP, by their names below net.ipv4. */
  readonly settings?: Readonly<Record<string, number>>;
  /** MiB of each transfer: fewer where much is lost. */
  readonly mebibytes: number;
}

const paths: readonly Path[] = [
  { name: "packets of 65,535 bytes", mtu: 65_535, mebibytes: 64 },
  { name: "packets of 1,500 bytes", mtu: 1_500, mebibytes: 32 },
  { name: "2 % of the packets dropped", mtu: 1_500, kernelLoss: 0.02, mebibytes: 8 },
  {
    name: "a kernel without SACK, timestamps and window scaling, 1 % dropped",
    mtu: 1_500,
    kernelLoss: 0.01,
    settings: { tcp_sack: 0, tcp_timestamps: 0, tcp_window_scaling: 0 },
    mebibytes: 4,
  },
  {
    name: "packets lost, doubled, delayed and damaged",
    mtu: 1_500,
    link: {
      latencyMs: 1,
      loss: 0.01,
      duplication: 0.02,
      delay: 0.05,
      jitterMs: 5,
      corruption: 0.01,
    },
    mebibytes: 4,
  },
];

describe.skipIf(impossible).each(paths)("the stack beside the kernel, $name", (path) => {
  it("serves curl, which fetches and uploads", async () => {
    const { namespace, stack } = await useKernelBeside(path);
    const body = randomBytes(path.mebibytes * mebibyte);
    const uploads: Buffer[] = [];
    const server = createServer((asked, answer) => {
      if (asked.method === "GET") {
        answer.end(body);
        return;
      }
      void collect(asked).then((all) => {
        uploads.push(all);
        answer.end("stored");
      });
    });
    stack.listen({ port: 80 }, {}, (connection) => {
      connection.on("error", () => undefined);
      server.emit("connection", connection);
    });
    const file = `${await useTempFolder()}/fetched`;
    await namespace.sh(`curl -sSf -m 90 -o ${file} http://${stackAddress}/`);
    expect(body.equals(await readFile(file)), "what was fetched").toBe(true);
    await namespace.sh(`curl -sSf -m 90 -T ${file} http://${stackAddress}/`);
    expect(uploads[0] !== undefined && body.equals(uploads[0]), "what was uploaded").toBe(true);
    await expectClosed(namespace, stack);
  });

  it("calls netcat and sends, or is sent, while the other direction stays open", async () => {
    const { namespace, stack } = await useKernelBeside(path);
    const bytes = path.mebibytes * mebibyte;
    for (const direction of ["to the stack", "to the kernel"] as const) {
      const netcat = inside(namespace, ["nc", "-N", "-l", "-p", "9000"]);
      await listens(namespace, 9_000);
      const connection = await stack.connect({ address: kernelAddress, port: 9_000 });
      connection.on("error", () => undefined);
      const inwards = direction === "to the stack";
      const arriving = digest(inwards ? connection : netcat.stdout);
      const sent = await sendRandom(inwards ? netcat.stdin : connection, bytes);
      if (!inwards) netcat.stdin.end();
      expect(await within(90_000, `${bytes} bytes ${direction}`, arriving)).toEqual(sent);
      connection.end();
      connection.resume();
      await within(20_000, "netcat ends", netcat.exited);
    }
    await expectClosed(namespace, stack);
  });

  it("carries iperf3 both ways over connections that the kernel opened", async () => {
    const { namespace, stack } = await useKernelBeside(path);
    const port = await freePort();
    const server = startIperf([], "127.0.0.1", port);
    await waitUntil("iperf3 listens", () => canConnect(port));
    stack.listen({ port: 5_201 }, {}, (connection) => {
      connection.on("error", () => undefined);
      connectTcp(port).then(
        (socket) => splice(connection, tcpByteStream(socket)),
        () => connection.destroy(),
      );
    });
    for (const flags of [[], ["-R"]]) {
      await iperf(`${path.name}, kernel opens`, namespace.prefix, stackAddress, 5_201, flags);
    }
    await server.end("SIGTERM");
    await expectClosed(namespace, stack);
  });

  it("carries iperf3 both ways over connections that the stack opened", async () => {
    const { namespace, stack } = await useKernelBeside(path);
    startIperf(namespace.prefix, kernelAddress, 5_201);
    await listens(namespace, 5_201);
    const entrance = createTcpServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", () => undefined);
      stack.connect({ address: kernelAddress, port: 5_201 }).then(
        (connection) => splice(tcpByteStream(socket), connection),
        () => socket.destroy(),
      );
    });
    const port = await listenOn(entrance);
    for (const flags of [[], ["-R"]]) {
      await iperf(`${path.name}, stack opens`, [], "127.0.0.1", port, flags);
    }
    await expectClosed(namespace, stack);
  });
});

describe.skipIf(impossible)("the stack beside the kernel", () => {
  const path: Path = { name: "", mtu: 1_500, mebibytes: 1 };

  it("refuses, and is refused, where nobody listens", async () => {
    const { namespace, stack } = await useKernelBeside(path);
    const curl = await run("ip", [
      ...namespace.prefix.slice(1),
      ...["curl", "-sS", "-m", "10", `http://${stackAddress}:81/`],
    ]);
    // curl(1): 7 is "failed to connect", 28 would be its time-out.
    expect(curl.code, curl.stderr).toBe(7);
    const refused = stack.connect({ address: kernelAddress, port: 81 });
    await expect(within(5_000, "a refusal", refused)).rejects.toMatchObject({ code: "refused" });
  });

  it("resets a connection, which the program at its other end hears", async () => {
    const { namespace, stack } = await useKernelBeside(path);
    const netcat = inside(namespace, ["nc", "-l", "-p", "9000"]);
    await listens(namespace, 9_000);
    const connection = await stack.connect({ address: kernelAddress, port: 9_000 });
    // Before its first byte the kernel may take the connection for one that never came to be.
    connection.write("!");
    await within(5_000, "the first byte", once(netcat.stdout, "data"));
    connection.destroy(new Error("enough"));
    await within(5_000, "netcat ends", netcat.exited);
    await expectClosed(namespace, stack);
  });

  it("hears the reset of a program that ended with bytes unread", async () => {
    const { namespace, stack } = await useKernelBeside(path);
    const netcat = inside(namespace, ["nc", "-l", "-p", "9000"]);
    await listens(namespace, 9_000);
    const connection = await stack.connect({ address: kernelAddress, port: 9_000 });
    const failed = new Promise((resolve) => connection.once("error", resolve));
    // Unread bytes make the kernel answer the end of the program with a reset (RFC 2525 §2.17).
    netcat.signal("SIGSTOP");
    connection.write(Buffer.alloc(10_000));
    await waitUntil("unread bytes", async () => (await unreadBytes(namespace)) > 0);
    netcat.stdout.resume();
    await netcat.end("SIGKILL");
    expect(await within(5_000, "a reset", failed)).toMatchObject({ code: "stream_reset" });
    await expectClosed(namespace, stack);
  });

  it("answers a datagram, and says where there is no port", async () => {
    const { namespace, stack } = await useKernelBeside(path);
    stack.bindUdp({ address: stackAddress, port: 53 }, ({ payload, remote }, socket) => {
      socket.send(remote, Buffer.concat([Buffer.from("echo "), payload]));
    });
    const asked = await namespace.sh(
      `bash -c 'exec 3<>/dev/udp/${stackAddress}/53; echo -n hello >&3; timeout 5 head -c 10 <&3'`,
    );
    expect(asked).toBe("echo hello");
    const refused = await namespace
      .sh(`bash -c 'exec 3<>/dev/udp/${stackAddress}/54; echo -n hello >&3; timeout 5 cat <&3'`)
      .catch(String);
    expect(refused).toContain("Connection refused");
  });

  it("serves 300 requests, 100 connections at a time", async () => {
    const { namespace, stack } = await useKernelBeside(path);
    const body = randomBytes(20_000);
    const server = createServer((_, answer) => {
      answer.setHeader("connection", "close");
      answer.end(body);
    });
    stack.listen({ port: 80 }, {}, (connection) => {
      connection.on("error", () => undefined);
      server.emit("connection", connection);
    });
    const folder = await useTempFolder();
    await namespace.sh(
      `curl -sSf --no-progress-meter -Z --parallel-max 100 -m 60 -o '${folder}/#1' 'http://${stackAddress}/[1-300]'`,
    );
    for (let file = 1; file <= 300; file += 1) {
      expect(body.equals(await readFile(`${folder}/${file}`)), `request ${file}`).toBe(true);
    }
    expect(stack.stats().tcp.accepted).toBe(300);
    await expectClosed(namespace, stack);
  });

  it("waits for a program that stopped reading, and goes on with it", async () => {
    const { namespace, stack } = await useKernelBeside(path);
    const netcat = inside(namespace, ["nc", "-N", "-l", "-p", "9000"]);
    await listens(namespace, 9_000);
    const connection = await stack.connect({ address: kernelAddress, port: 9_000 });
    connection.on("error", () => undefined);
    netcat.signal("SIGSTOP");
    const arriving = digest(netcat.stdout);
    const sending = sendRandom(connection, 64 * mebibyte);
    let before = -1;
    await waitUntil(
      "the kernel takes no more",
      async () => {
        const now = await unreadBytes(namespace);
        const isFull = now > 0 && now === before;
        before = now;
        return isFull;
      },
      { everyMs: 300 },
    );
    expect(connection.writableNeedDrain).toBe(true);
    netcat.signal("SIGCONT");
    netcat.stdin.end();
    expect(await within(60_000, "the rest", arriving)).toEqual(await sending);
    connection.resume();
    await expectClosed(namespace, stack);
  });
});

/** A namespace whose kernel reaches a stack in this process through a TUN device. */
async function useKernelBeside(
  path: Path,
): Promise<{ readonly namespace: Namespace; readonly stack: Netstack }> {
  const tag = randomBytes(3).toString("hex");
  const name = `cvk-${tag}`;
  onTestFinished(() => removeNamespace(name));
  const namespace = await makeNamespace(name);
  const link = new PacketLink({
    clock: systemClock,
    random: systemRandom,
    latencyMs: 0,
    maxInFlight: 10_000,
    ...path.link,
  });
  const plain = path.link === undefined;
  const tun = await TunDevice.open({
    namespace,
    name: `cvk${tag}`,
    address: `${kernelAddress}/24`,
    mtu: path.mtu,
    onPacket: (packet) => (plain ? stack.receive(packet) : link.near.send(packet)),
  });
  onTestFinished(() => tun.close());
  const stack: Netstack = new Netstack({
    clock: systemClock,
    random: systemRandom,
    addresses: [stackAddress],
    mtu: path.mtu,
    output: (packet) => (plain ? tun.write(packet) : link.far.send(packet)),
  });
  onTestFinished(() => stack.close({ by: "us", code: "test_over", text: "" }));
  link.near.onPacket = (packet) => tun.write(packet);
  link.far.onPacket = (packet) => stack.receive(packet);
  if (path.kernelLoss !== undefined) {
    for (const chain of ["INPUT", "OUTPUT"]) {
      await namespace.sh(
        `iptables -A ${chain} -m statistic --mode random --probability ${path.kernelLoss} -j DROP`,
      );
    }
  }
  for (const [name, value] of Object.entries(path.settings ?? {})) {
    await namespace.sh(`echo ${value} > /proc/sys/net/ipv4/${name}`);
  }
  return { namespace, stack };
}

/** Neither side keeps a connection that is not in TIME_WAIT. */
async function expectClosed(namespace: Namespace, stack: Netstack): Promise<void> {
  const states = "state all exclude listening exclude time-wait";
  await waitUntil(
    "the kernel has no connection left",
    async () => (await namespace.sh(`ss -Htn ${states}`)).trim() === "",
    { withinMs: 20_000 },
  );
  await waitUntil("the stack has no connection open", () => isQuiet(stack), {
    withinMs: 20_000,
  });
}

function isQuiet(stack: Netstack): boolean {
  const { connections, timeWait } = stack.stats().tcp;
  return connections === timeWait;
}

function inside(namespace: Namespace, command: readonly string[]): Child {
  return start([...namespace.prefix, ...command]);
}

function start([program = "", ...args]: readonly string[]): Child {
  const child = new Child(program, args);
  child.stderr.resume();
  endWithTest(child);
  return child;
}

function startIperf(prefix: readonly string[], address: string, port: number): Child {
  const server = start([...prefix, "iperf3", "-s", "-B", address, "-p", String(port)]);
  server.stdout.resume();
  return server;
}

/** What arrived for the one program that has a connection, and what it has not read. */
async function unreadBytes(namespace: Namespace): Promise<number> {
  return Number(/ESTAB +(\d+)/.exec(await namespace.sh("ss -Htna"))?.[1] ?? 0);
}

async function listens(namespace: Namespace, port: number): Promise<void> {
  await waitUntil(`a listener on port ${port}`, async () =>
    (await namespace.sh("ss -Htln")).includes(`:${port} `),
  );
}

async function canConnect(port: number): Promise<boolean> {
  const socket = await connectTcp(port);
  socket.destroy();
  return true;
}

/** Two seconds of iperf3; what the receiver got must be something. */
async function iperf(
  what: string,
  prefix: readonly string[],
  address: string,
  port: number,
  flags: readonly string[],
): Promise<void> {
  const command = ["iperf3", "-J", "-t", "2", "-c", address, "-p", String(port), ...flags];
  const [program = "", ...args] = [...prefix, ...command];
  let { stdout, code } = await run(program, args, { timeoutMs: 60_000 });
  const rerun = async (): Promise<boolean> => {
    // It serves one at a time, and on a bad path may not have heard the last end yet.
    if (!stdout.includes("server is busy")) return true;
    ({ stdout, code } = await run(program, args, { timeoutMs: 60_000 }));
    return false;
  };
  await waitUntil("the server of iperf3 has ended its last run", rerun, { withinMs: 20_000 });
  expect(code, stdout).toBe(0);
  // With -J it tells of its failure in its report, and exits as if there had been none.
  const report = JSON.parse(stdout) as {
    readonly error?: string;
    readonly end: { readonly sum_received: { readonly bits_per_second: number } };
  };
  expect(report.error).toBeUndefined();
  const rate = report.end.sum_received.bits_per_second / 8 / mebibyte;
  console.log(`${what}, ${flags.length === 0 ? "up" : "down"}: ${rate.toFixed(1)} MiB/s`);
  expect(rate).toBeGreaterThan(0);
}

function listenOn(server: Server): Promise<number> {
  onTestFinished(() => void server.close());
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
}

async function collect(message: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of message as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts);
}
