import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import { Agent, createServer, request, type IncomingMessage } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { Child, run } from "./support/child.ts";
import { culvertPath } from "./support/culvert.ts";
import { listening } from "./support/listening.ts";
import { freePort } from "./support/ports.ts";
import { missing } from "./support/requires.ts";
import { useSshServer } from "./support/ssh-server.ts";
import { digest } from "./support/tcp.ts";
import { endWithTest, useTempFolder } from "./support/temp-folder.ts";
import { useRunningTrial, useTrial, type Trial } from "./support/trial.ts";
import { waitUntil, within } from "./support/wait.ts";

const mebibyte = 1024 * 1024;

describe.skipIf(missing("ssh", "scp", "sshd", "ssh-keygen"))("ssh", () => {
  it("runs a command and gives its output and exit code", async () => {
    const trial = await useRunningTrial();
    const sshd = await useSshServer(trial.targetPort);
    const command = 'read line; echo "got $line"; echo oops >&2; exit 3';
    const result = await run(
      "ssh",
      ["-p", String(trial.listenPort), ...sshd.options, `${sshd.user}@127.0.0.1`, command],
      { input: "a word\n" },
    );
    expect(result).toMatchObject({ code: 3, stdout: "got a word\n" });
    expect(result.stderr).toContain("oops");
    await trial.quiet();
  });

  it("copies 50 MiB with scp there and back", async () => {
    const trial = await useRunningTrial();
    const sshd = await useSshServer(trial.targetPort);
    const [here, there, back] = ["here", "there", "back"].map((name) => join(sshd.folder, name));
    await writeFile(here!, randomBytes(50 * mebibyte));
    const flags = ["-P", String(trial.listenPort), ...sshd.options];
    const remote = `${sshd.user}@127.0.0.1:${there}`;
    expect(await run("scp", [...flags, here!, remote])).toMatchObject({ code: 0 });
    expect(await run("scp", [...flags, remote, back!])).toMatchObject({ code: 0 });
    const wanted = await digest(createReadStream(here!));
    expect(await digest(createReadStream(there!))).toEqual(wanted);
    expect(await digest(createReadStream(back!))).toEqual(wanted);
    await trial.quiet();
  });

  for (const daemon of ["beside a running client", "without a running client"] as const) {
    it(`goes through culvert connect as ProxyCommand, ${daemon}`, async () => {
      const trial = await useTrial();
      await trial.start(
        daemon === "beside a running client" ? ["relay", "server", "client"] : ["relay", "server"],
      );
      const sshd = await useSshServer(trial.targetPort);
      const words = [process.execPath, culvertPath, "connect", `lan-box:${trial.targetPort}`];
      const proxy = [...words, "--config", trial.configFile("client")].join(" ");
      const result = await run("ssh", [
        ...["-o", `ProxyCommand=${proxy}`, ...sshd.options, `${sshd.user}@anything`],
        "head -c 5000000 /dev/zero; echo done >&2",
      ]);
      expect(result.stderr).toContain("done");
      expect(result.code).toBe(0);
      expect(result.stdout).toHaveLength(5_000_000);
      await trial.quiet();
      if (daemon === "beside a running client") {
        expect(trial.daemon("client").named("client.detached")).toEqual([]);
      }
    });
  }
});

describe("HTTP", () => {
  it("keeps connections alive: 400 requests with bodies over four of them", async () => {
    const trial = await useRunningTrial();
    const server = await useHttpEcho(trial);
    const agent = new Agent({ keepAlive: true, maxSockets: 4 });
    onTestFinished(() => {
      agent.destroy();
    });
    const bodies = Array.from({ length: 400 }, (_, index) => randomBytes((index * 997) % 60_000));
    const answers = await Promise.all(
      bodies.map((body) => post(`http://127.0.0.1:${trial.listenPort}/`, body, agent)),
    );
    for (const [index, answer] of answers.entries())
      expect(answer.equals(bodies[index]!)).toBe(true);
    expect(server.connections).toBeLessThanOrEqual(4);
    agent.destroy();
    await trial.quiet();
  });
});

describe("WebSocket", () => {
  it("echoes text and binary messages up to 1 MiB, pings and close codes", async () => {
    const trial = await useRunningTrial();
    const server = new WebSocketServer({ port: trial.targetPort, host: "127.0.0.1" });
    onTestFinished(() => {
      for (const client of server.clients) client.terminate();
      server.close();
    });
    server.on("connection", (socket) => {
      socket.on("message", (message, binary) => socket.send(message as Buffer, { binary }));
      socket.on("close", (code) => closeCodes.push(code));
    });
    const closeCodes: number[] = [];
    await listening(trial.targetPort);

    const socket = new WebSocket(`ws://127.0.0.1:${trial.listenPort}/`);
    onTestFinished(() => {
      socket.terminate();
    });
    const heard: { readonly bytes: Buffer; readonly binary: boolean }[] = [];
    let pongs = 0;
    socket.on("message", (bytes, binary) => heard.push({ bytes: bytes as Buffer, binary }));
    socket.on("pong", () => (pongs += 1));
    await within(5_000, "the WebSocket opens", new Promise((done) => socket.once("open", done)));
    const sent = Array.from({ length: 60 }, (_, index) =>
      index % 2 === 0 ? `message ${index} äöü` : randomBytes(1 << (index % 21)),
    );
    for (const message of sent) socket.send(message);
    socket.send(randomBytes(mebibyte));
    socket.ping();
    await waitUntil("all messages are back", () => heard.length === sent.length + 1 && pongs === 1);
    for (const [index, message] of sent.entries()) {
      expect(heard[index]!.bytes.equals(Buffer.from(message))).toBe(true);
      expect(heard[index]!.binary).toBe(typeof message !== "string");
    }
    socket.close(4001, "enough");
    await waitUntil("the server hears the close", () => closeCodes.includes(4001));
    await trial.quiet();
  });
});

describe.skipIf(missing("redis-server", "redis-cli"))("redis", () => {
  it("answers 10,000 pipelined commands", async () => {
    const trial = await useRunningTrial();
    const folder = await useTempFolder();
    const server = new Child("redis-server", [
      ...["--port", String(trial.targetPort), "--bind", "127.0.0.1", "--dir", folder],
      ...["--save", "", "--appendonly", "no", "--daemonize", "no"],
    ]);
    server.stdout.resume();
    server.stderr.resume();
    endWithTest(server);
    await listening(trial.targetPort);
    const port = String(trial.listenPort);
    const commands = Array.from({ length: 10_000 }, (_, i) => `SET key:${i} value-${i * 7}\r\n`);
    const piped = await run("redis-cli", ["-p", port, "--pipe"], { input: commands.join("") });
    expect(piped.stdout).toContain("errors: 0, replies: 10000");
    expect(piped.code).toBe(0);
    const size = await run("redis-cli", ["-p", port, "DBSIZE"]);
    expect(size.stdout.trim()).toBe("10000");
    const value = await run("redis-cli", ["-p", port, "GET", "key:9999"]);
    expect(value.stdout.trim()).toBe("value-69993");
    await trial.quiet();
  });
});

describe.skipIf(missing("iperf3"))("iperf3", () => {
  for (const direction of ["up", "down"] as const) {
    it(`moves data in 8 streams ${direction}`, async () => {
      const trial = await useRunningTrial();
      const server = new Child("iperf3", ["-s", "-1", "-p", String(trial.targetPort)]);
      server.stdout.resume();
      server.stderr.resume();
      endWithTest(server);
      await listening(trial.targetPort);
      const flags = ["-c", "127.0.0.1", "-p", String(trial.listenPort), "-P", "8", "-t", "3", "-J"];
      const result = await run("iperf3", direction === "down" ? [...flags, "-R"] : flags);
      const report = JSON.parse(result.stdout) as IperfReport;
      expect(report.error).toBeUndefined();
      expect(result.code).toBe(0);
      expect(report.end.streams).toHaveLength(8);
      for (const { receiver } of report.end.streams) expect(receiver.bytes).toBeGreaterThan(0);
      const rate = report.end.sum_received.bits_per_second / 8 / mebibyte;
      console.log(`iperf3, 8 streams ${direction}: ${Math.round(rate)} MiB/s`);
      await trial.quiet();
    });
  }
});

describe.skipIf(missing("curl"))("curl", () => {
  it("goes through SOCKS5 by server name, without and with a password", async () => {
    const { trial, socksPort } = await useProxies();
    const url = `http://lan-box:${trial.targetPort}/`;
    const open = ["-sS", "--socks5-hostname", `127.0.0.1:${socksPort}`];
    const good = await run("curl", [...open, "--data-binary", "by socks", url]);
    expect(good).toMatchObject({ code: 0, stdout: "by socks" });
    const elsewhere = await run("curl", [...open, `http://lan-box:1/`]);
    expect(elsewhere.code).toBe(97);
    await trial.quiet();

    const closed = await useProxies({ socks: { alice: "wonderland" } });
    const port = `127.0.0.1:${closed.socksPort}`;
    const target = `http://lan-box:${closed.trial.targetPort}/`;
    const known = ["--data-binary", "hello", "--proxy-user", "alice:wonderland"];
    const proved = await run("curl", ["-sS", "--socks5-hostname", port, ...known, target]);
    expect(proved).toMatchObject({ code: 0, stdout: "hello" });
    for (const wrong of [["--proxy-user", "alice:rabbit"], []]) {
      const refused = await run("curl", ["-sS", "--socks5-hostname", port, ...wrong, target]);
      expect(refused.code).toBe(97);
    }
    expect(closed.trial.log()).not.toMatch(/wonderland|rabbit/);
    await closed.trial.quiet();
  });

  it("goes through an HTTP proxy by CONNECT, without and with a password", async () => {
    const { trial, httpPort } = await useProxies();
    const url = `http://lan-box:${trial.targetPort}/`;
    const open = ["-sS", "--proxytunnel", "--proxy", `http://127.0.0.1:${httpPort}`];
    const good = await run("curl", [...open, "--data-binary", "by connect", url]);
    expect(good).toMatchObject({ code: 0, stdout: "by connect" });
    const elsewhere = await run("curl", [...open, "http://lan-box:1/"]);
    expect(elsewhere.code).toBe(56);
    expect(elsewhere.stderr).toMatch(/40\d|50\d/);
    await trial.quiet();

    const closed = await useProxies({ http: { alice: "wonderland" } });
    const flags = ["-sS", "--proxytunnel", "--proxy", `http://127.0.0.1:${closed.httpPort}`];
    const target = `http://lan-box:${closed.trial.targetPort}/`;
    const known = ["--data-binary", "hello", "--proxy-user", "alice:wonderland"];
    expect(await run("curl", [...flags, ...known, target])).toMatchObject({
      code: 0,
      stdout: "hello",
    });
    for (const wrong of [["--proxy-user", "alice:rabbit"], []]) {
      const refused = await run("curl", [...flags, ...wrong, target]);
      expect(refused.code).toBe(56);
      expect(refused.stderr).toContain("407");
    }
    expect(closed.trial.log()).not.toMatch(/wonderland|rabbit/);
    await closed.trial.quiet();
  });
});

interface IperfReport {
  readonly error?: string;
  readonly end: {
    readonly streams: readonly { readonly receiver: { readonly bytes: number } }[];
    readonly sum_received: { readonly bits_per_second: number };
  };
}

/** A running trial whose client also is a SOCKS5 and an HTTP proxy, with an HTTP echo at the target port. */
async function useProxies(
  users: { readonly socks?: Record<string, string>; readonly http?: Record<string, string> } = {},
): Promise<{ readonly trial: Trial; readonly socksPort: number; readonly httpPort: number }> {
  const trial = await useTrial();
  const socksPort = await freePort();
  const httpPort = await freePort();
  await trial.edit("client", (config) => {
    config["socks"] = {
      listen: `127.0.0.1:${socksPort}`,
      ...(users.socks && { users: users.socks }),
    };
    config["httpProxy"] = {
      listen: `127.0.0.1:${httpPort}`,
      ...(users.http && { users: users.http }),
    };
  });
  await useHttpEcho(trial);
  await trial.start();
  await trial.attached();
  return { trial, socksPort, httpPort };
}

/** An HTTP server at the target port that sends every body back and counts its connections. */
async function useHttpEcho(trial: Trial): Promise<{ readonly connections: number }> {
  const counted = { connections: 0 };
  const sockets = new Set<Socket>();
  const server = createServer((asked, answer) => {
    answer.writeHead(200, { "x-sha256": asked.headers["x-sha256"] ?? "" });
    asked.pipe(answer);
  });
  server.on("connection", (socket) => {
    counted.connections += 1;
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.listen(trial.targetPort, "127.0.0.1");
  await waitUntil("the HTTP server listens", () => (server.address() as AddressInfo | null)?.port);
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return counted;
}

function post(url: string, body: Buffer, agent: Agent): Promise<Buffer> {
  const sha256 = createHash("sha256").update(body).digest("hex");
  const headers = { "content-length": body.length, "x-sha256": sha256 };
  return within(
    20_000,
    "an HTTP answer",
    new Promise((resolve, reject) => {
      const asking = request(url, { method: "POST", agent, headers }, (answer: IncomingMessage) => {
        const parts: Buffer[] = [];
        answer.on("data", (part: Buffer) => parts.push(part));
        answer.on("error", reject);
        answer.on("end", () => {
          if (answer.headers["x-sha256"] === sha256) resolve(Buffer.concat(parts));
          else reject(new Error("the answer to another request"));
        });
      });
      asking.on("error", reject);
      asking.end(body);
    }),
  );
}
