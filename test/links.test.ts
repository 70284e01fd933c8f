import { randomBytes } from "node:crypto";
import { describe, expect, it, onTestFinished } from "vitest";
import { run } from "./support/child.ts";
import { culvert, culvertPath } from "./support/culvert.ts";
import type { LogEvent } from "./support/daemon.ts";
import { makeNamespace, removeNamespace } from "./support/namespace.ts";
import { freePort } from "./support/ports.ts";
import { total } from "./support/prometheus.ts";
import { missing, notRoot } from "./support/requires.ts";
import { useSshServer } from "./support/ssh-server.ts";
import { connectTcp, digest, echoOnce, echoServer, sendRandom } from "./support/tcp.ts";
import { useTrial, type Trial } from "./support/trial.ts";
import { waitUntil } from "./support/wait.ts";

const mebibyte = 1024 * 1024;
/** How this build's agent is called; it runs in the folder of relay.yaml. */
const agent = [process.execPath, culvertPath, "agent", "--stdio", "--config", "server.yaml"];

/** A trial whose relay starts the server, with an echo server behind it. */
async function useLinkTrial(command?: string | readonly string[]): Promise<Trial> {
  const trial = await useTrial({ link: true });
  if (command !== undefined) await setCommand(trial, command);
  const echo = await echoServer(trial.targetPort);
  onTestFinished(() => echo.close());
  return trial;
}

function setCommand(trial: Trial, command: string | readonly string[]): Promise<void> {
  return trial.edit("relay", (config) => {
    config["links"] = [{ name: "lan-box", command }];
  });
}

/** Starts what a user starts by hand. */
async function startBoth(trial: Trial): Promise<void> {
  await trial.start(["relay", "client"]);
}

async function linkUp(trial: Trial, withinMs = 15_000): Promise<number> {
  return waitUntil(
    "the link being up",
    async () => {
      const [link] = (await trial.status("relay")).links ?? [];
      if (link?.state === "up") return link.pid;
      throw new Error(JSON.stringify(link));
    },
    { withinMs, everyMs: 50 },
  );
}

/** The first reason for which a link went down. */
async function downReason(trial: Trial, withinMs = 15_000): Promise<string> {
  const down = await waitUntil(
    "the link being down",
    (): LogEvent | undefined => trial.daemon("relay").named("command.down")[0],
    { withinMs },
  );
  return String(down["reason"]);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("a server that the relay starts by a link", () => {
  it("serves a client, shows in the status, and ends with the relay", async () => {
    const trial = await useLinkTrial();
    await startBoth(trial);
    expect(trial.daemon("relay").lines[0]).toMatch(/ link lan-box$/);
    const pid = await linkUp(trial);
    await echoOnce(trial.listenPort);

    const socket = await connectTcp(trial.listenPort);
    const [sent, got] = await Promise.all([sendRandom(socket, 20 * mebibyte), digest(socket)]);
    expect(got).toEqual(sent);
    await trial.quiet();

    const { peers } = await trial.status("relay");
    const session = peers.find(({ name }) => name === "lan-box")?.sessions[0];
    expect(session).toMatchObject({ transport: "norouter", remote: `pid ${pid}` });
    const shown = await culvert(["status", "--config", trial.configFile("relay")]);
    expect(shown.stdout).toMatch(/lan-box +│ up /);
    const ofServer = await culvert(["status", "--config", trial.configFile("server")]);
    expect(ofServer.stdout).toContain("attached as lan-box at standard input by norouter");
    expect(total(await trial.metrics(), "culvert_command_links_up")).toBe(1);

    const relay = trial.daemon("relay");
    expect(await relay.stop()).toEqual({ code: 0, signal: null });
    await waitUntil("the end of the server", () => !isAlive(pid));
    const said = relay.named("command.said").map(({ line }) => String(line));
    expect(said.join("\n")).toContain("the process is ending");
  });

  it.each(["SIGKILL", "SIGSTOP"] as const)("comes back after %s", async (signal) => {
    const trial = await useLinkTrial();
    await startBoth(trial);
    const first = await linkUp(trial);
    const held = await connectTcp(trial.listenPort);
    held.write("!");
    process.kill(first, signal);
    const over = new Promise((resolve) => held.once("close", resolve));
    await waitUntil("another process", async () => (await linkUp(trial)) !== first, {
      withinMs: 30_000,
    });
    await over;
    expect(isAlive(first)).toBe(false);
    await waitUntil("an echo", () => echoOnce(trial.listenPort).then(() => true), {
      withinMs: 10_000,
    });
    const relay = trial.daemon("relay");
    expect(relay.child.running).toBe(true);
    expect(relay.strayLines).toEqual([]);
  });

  it("is looked for again and again while its command fails, and found when that works", async () => {
    const trial = await useLinkTrial([
      process.execPath,
      "-e",
      `if (!require("fs").existsSync("open")) { console.error("no route to host"); process.exit(255); }
       require("child_process").spawn(${JSON.stringify(agent[0])}, ${JSON.stringify(agent.slice(1))}, { stdio: "inherit" });`,
    ]);
    await startBoth(trial);
    expect(await downReason(trial)).toMatch(
      /exited with code 255; it said last: no route to host$/,
    );
    const [link] = (await trial.status("relay")).links ?? [];
    expect(link?.lastError).toContain("no route to host");
    await run("touch", [trial.path("open")]);
    await linkUp(trial, 30_000);
    await echoOnce(trial.listenPort);
  });
});

describe("a client with links", () => {
  it("reaches its servers without a relay", async () => {
    const trial = await useLinkTrial();
    let peers: { id: string }[] = [];
    await trial.edit("relay", (config) => {
      peers = config["peers"] as { id: string }[];
    });
    const [box, laptop] = peers;
    await trial.edit("server", (config) => {
      config["relay"] = { id: laptop!.id };
    });
    await trial.edit("client", (config) => {
      delete config["relay"];
      delete config["transports"];
      config["links"] = [{ name: "lan-box", id: box!.id, command: agent }];
    });
    const client = await trial.startOne("client");
    await waitUntil("an echo", () => echoOnce(trial.listenPort).then(() => true), {
      withinMs: 15_000,
    });
    const socket = await connectTcp(trial.listenPort);
    const [sent, got] = await Promise.all([sendRandom(socket, 10 * mebibyte), digest(socket)]);
    expect(got).toEqual(sent);
    const shown = await culvert(["status", "--config", trial.configFile("client")]);
    expect(shown.stdout).toMatch(/lan-box +│ up /);
    expect(shown.stdout).toContain("attached as laptop");
    const pid = client.named("command.started")[0]?.["pid"] as number;
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    await waitUntil("the end of the server", () => !isAlive(pid));
  });
});

describe("a link that leads nowhere says why, and harms nobody", () => {
  it.each([
    {
      name: "a shell that greets on standard output",
      command: `sh -c 'echo "Welcome to box"; exec ${agent.join(" ")}'`,
      reason: /standard output must carry nothing but frames, and began with "Welcome to box/,
    },
    {
      name: "a program that is not there",
      command: ["/nowhere/ssh", "box"],
      reason: /cannot be started: there is no program \/nowhere\/ssh/,
    },
    {
      name: "a configuration that is not there",
      command: [...agent.slice(0, -1), "other.yaml"],
      reason: /exited with code 2; it said last: .*other\.yaml: there is no such file/,
    },
    {
      name: "a command that ends at once without a word",
      command: "true",
      reason: /exited with code 0$/,
    },
  ])("$name", async ({ command, reason }) => {
    const trial = await useLinkTrial(command);
    await startBoth(trial);
    expect(await downReason(trial)).toMatch(reason);
    expect(trial.daemon("relay").child.running).toBe(true);
    const client = await trial.status("client");
    expect(client.link.state).toBe("attached");
  });

  it("a server with another's key is refused by name at both ends", async () => {
    const trial = await useLinkTrial();
    await trial.edit("server", (config) => {
      config["identity"] = { keyFile: "client.key" };
    });
    await trial.startOne("relay");
    const [box, laptop] = (await trial.status("relay")).peers;
    const refusal = `this link is for peer ${box?.id}, and ${laptop?.id} is at its other end`;
    expect(await downReason(trial)).toContain(refusal);
    const relay = trial.daemon("relay");
    const said = relay.named("command.said").map(({ line }) => String(line));
    expect(said.join("\n")).toContain(refusal);
    expect(relay.named("relay.session.opened")).toEqual([]);
  });

  it("a server that expects another relay does not say who it is", async () => {
    const trial = await useLinkTrial();
    await trial.edit("server", (config) => {
      (config["relay"] as { id: string }).id =
        "12D3KooWHCgBRJRBstHurhMqgHk3DZCBsMSJEZv4KwJWRdoCWHsu";
    });
    await trial.startOne("relay");
    expect(await downReason(trial)).toContain(
      "expected peer 12D3KooWHCgBRJRBstHurhMqgHk3DZCBsMSJEZv4",
    );
  });

  it("a command that never answers, and what it has started, end with the relay", async () => {
    const trial = await useLinkTrial(
      `sh -c 'trap "" TERM; sleep 1000 & echo $! >&2; while true; do sleep 1000; done'`,
    );
    await startBoth(trial);
    const relay = trial.daemon("relay");
    const line = await waitUntil("its words", () => relay.named("command.said")[0]?.["line"]);
    const [link] = (await trial.status("relay")).links ?? [];
    expect(link?.state).toBe("starting");
    expect(await relay.stop()).toEqual({ code: 0, signal: null });
    for (const pid of [Number(line), link?.pid ?? 0]) {
      await waitUntil("the end of the command", () => !isAlive(pid));
    }
  });
});

describe("who starts the far end by hand is told how it is meant", () => {
  it.each([
    { args: ["agent", "--config", "server.yaml"], says: "--stdio" },
    { args: ["agent", "--stdio", "--config", "relay.yaml"], says: "is for a relay" },
    { args: ["server", "--config", "server.yaml"], says: "culvert agent --stdio" },
  ])("$args", async ({ args, says }) => {
    const trial = await useTrial({ link: true });
    const result = await culvert(args, { cwd: trial.folder });
    expect(result).toMatchObject({ code: 2, stdout: "" });
    expect(result.stderr).toContain(says);
  });

  it("an agent without pipes", async () => {
    const trial = await useTrial({ link: true });
    const command = `${agent.join(" ")} < /dev/null`;
    const result = await run("sh", ["-c", command], { cwd: trial.folder });
    expect(result.code).toBe(2);
    expect(result.stderr).toContain("standard input is no pipe");
  });
});

describe.skipIf(missing("ssh", "sshd", "ssh-keygen"))("through ssh", () => {
  it("a server on a machine that only ssh reaches serves, and comes back when its login is cut", async () => {
    const port = await freePort();
    const sshd = await useSshServer(port);
    const trial = await useLinkTrial();
    const server = [...agent.slice(0, -1), trial.configFile("server")];
    const login = ["-p", String(port), ...sshd.options, `${sshd.user}@127.0.0.1`];
    await setCommand(trial, ["ssh", ...login, "--", ...server]);
    await startBoth(trial);
    const first = await linkUp(trial, 30_000);
    await echoOnce(trial.listenPort);
    const socket = await connectTcp(trial.listenPort);
    const [sent, got] = await Promise.all([sendRandom(socket, 10 * mebibyte), digest(socket)]);
    expect(got).toEqual(sent);
    process.kill(first, "SIGKILL");
    await waitUntil("another login", async () => (await linkUp(trial)) !== first, {
      withinMs: 30_000,
    });
    await waitUntil("an echo", () => echoOnce(trial.listenPort).then(() => true), {
      withinMs: 10_000,
    });
  });
});

describe.skipIf(missing("ip") || notRoot("a namespace without a network"))("ip netns exec", () => {
  it("a server in a place without any network joins through its standard input and output", async () => {
    const name = `cvlink-${randomBytes(3).toString("hex")}`;
    onTestFinished(() => removeNamespace(name));
    const place = await makeNamespace(name);
    const trial = await useTrial({ link: true });
    await setCommand(trial, [...place.prefix, ...agent]);
    const inside = `require("net").createServer({ allowHalfOpen: true }, (s) => s.pipe(s)).listen(${trial.targetPort}, "127.0.0.1")`;
    await place.sh(`${process.execPath} -e '${inside}' > /dev/null 2>&1 & echo started`);
    await startBoth(trial);
    await linkUp(trial);
    await waitUntil("an echo", () => echoOnce(trial.listenPort).then(() => true), {
      withinMs: 10_000,
    });
  });
});
