import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import type { RelayStatus } from "@culvert/relay";
import { Child } from "./support/child.ts";
import { openLive, useEcho } from "./support/connections.ts";
import { culvert, culvertPath } from "./support/culvert.ts";
import { startDaemon } from "./support/daemon.ts";
import { freePort } from "./support/ports.ts";
import { endWithTest, useTempFolder } from "./support/temp-folder.ts";
import { roles, useRunningTrial, useTrial, type Config } from "./support/trial.ts";
import { timed, waitUntil, within } from "./support/wait.ts";

const commands = [
  ...["init", "relay", "server", "client", "connect", "status", "check", "key", "demo"],
] as const;

describe("culvert", () => {
  it("lists every command in its help and prints its version", async () => {
    const help = await culvert(["--help"]);
    expect(help).toMatchObject({ code: 0, stderr: "" });
    for (const command of commands)
      expect(help.stdout).toMatch(new RegExp(`^ +${command}\\b`, "m"));
    const version = await culvert(["--version"]);
    expect(version.code).toBe(0);
    expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it.each(commands)("explains %s", async (command) => {
    const help = await culvert([command, "--help"]);
    expect(help).toMatchObject({ code: 0, stderr: "" });
    expect(help.stdout).toContain(`Usage: culvert ${command}`);
    expect(help.stdout.length).toBeGreaterThan(200);
  });

  it.each([
    { args: ["realy"], says: /relay/ },
    { args: ["relay", "--confg", "x"], says: /--config/ },
    { args: ["relay"], says: /--config/ },
    { args: ["init"], says: /dir/ },
    { args: ["init", "x", "y"], says: /argument/ },
    { args: ["init", "x", "--relay-port", "70000"], says: /65535/ },
    { args: ["init", "x", "--relay-port", "twelve"], says: /port/ },
    { args: ["key", "make"], says: /make/ },
    { args: ["connect", "lan-box"], says: /config|target/i },
    { args: ["relay", "--config", "absent.yaml"], says: /absent\.yaml/ },
    { args: ["check", "--config", "absent.yaml"], says: /absent\.yaml/ },
  ])("ends $args with 2 and says why", async ({ args, says }) => {
    const result = await culvert(args, { cwd: await useTempFolder() });
    expect(result.code).toBe(2);
    expect(result.stdout).toBe("");
    expect(result.stderr).toMatch(says);
    expect(result.stderr).not.toMatch(/^ +at /m);
  });
});

describe("culvert init", () => {
  it("writes three configurations and three private keys, and overwrites nothing", async () => {
    const folder = join(await useTempFolder(), "a", "trial");
    const names = ["--server-name", "attic", "--client-name", "phone"];
    const ports = ["--relay-port", "4000", "--listen-port", "4001", "--target-port", "4002"];
    const made = await culvert(["init", folder, ...names, ...ports]);
    expect(made).toMatchObject({ code: 0, stderr: "" });
    const files = (await readdir(folder)).sort();
    expect(files).toEqual(roles.flatMap((role) => [`${role}.key`, `${role}.yaml`]).sort());
    for (const role of roles) {
      expect((await stat(join(folder, `${role}.key`))).mode & 0o777).toBe(0o600);
    }
    const read = async (role: string): Promise<Config> =>
      parse(await readFile(join(folder, `${role}.yaml`), "utf8")) as Config;
    const relay = await read("relay");
    expect(relay).toMatchObject({
      listen: ["127.0.0.1:4000"],
      admin: { listen: "127.0.0.1:4010" },
    });
    expect(relay["peers"]).toMatchObject([
      { name: "attic", role: "server" },
      { name: "phone", role: "client" },
    ]);
    expect(relay["grants"]).toMatchObject([{ client: "phone", server: "attic" }]);
    expect(await read("server")).toMatchObject({ name: "attic", allow: ["127.0.0.1:4002"] });
    expect(await read("client")).toMatchObject({
      name: "phone",
      forwards: [{ listen: "127.0.0.1:4001", to: "attic:4002" }],
    });

    const before = await Promise.all(files.map((file) => readFile(join(folder, file), "utf8")));
    const again = await culvert(["init", folder]);
    expect(again.code).toBe(2);
    expect(again.stderr).toContain(folder);
    const after = await Promise.all(files.map((file) => readFile(join(folder, file), "utf8")));
    expect(after).toEqual(before);
  });

  it("leaves a folder with one of its files as it was", async () => {
    const folder = await useTempFolder();
    await writeFile(join(folder, "client.yaml"), "mine\n");
    expect((await culvert(["init", folder])).code).toBe(2);
    expect(await readdir(folder)).toEqual(["client.yaml"]);
    expect(await readFile(join(folder, "client.yaml"), "utf8")).toBe("mine\n");
  });

  it("refuses names and ports that cannot be, and writes nothing", async () => {
    const folder = join(await useTempFolder(), "trial");
    const bad = [
      ...["", "x".repeat(1_000), "a b", "tab\there", "söme"].map((name) => ["--server-name", name]),
      ["--server-name", "same", "--client-name", "same"],
      ["--relay-port", "0"],
      ["--relay-port", "65530"],
    ];
    for (const flags of bad) {
      const result = await culvert(["init", folder, ...flags]);
      expect(result.code, flags.join(" ")).toBe(2);
      await expect(readdir(folder)).rejects.toThrow("ENOENT");
    }
  });
});

describe("culvert key", () => {
  it("makes a key once and shows its peer id", async () => {
    const file = join(await useTempFolder(), "my.key");
    const made = await culvert(["key", "generate", file]);
    expect(made).toMatchObject({ code: 0, stderr: "" });
    expect(made.stdout).toMatch(/12D3KooW[1-9A-HJ-NP-Za-km-z]{44}/);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const shown = await culvert(["key", "show", file]);
    expect(shown).toEqual(made);
    const before = await readFile(file, "utf8");
    const again = await culvert(["key", "generate", file]);
    expect(again.code).toBe(2);
    expect(again.stderr).toContain(file);
    expect(await readFile(file, "utf8")).toBe(before);
    expect(before).not.toContain(made.stdout.trim());
  });
});

describe("culvert status", () => {
  it("shows a connection with all its identifiers at the relay, and three of them at the others", async () => {
    const trial = await useRunningTrial();
    await useEcho(trial);
    const live = await openLive(trial.listenPort);
    const identifiers = ["laptop", String(live.localPort), "lan-box", String(trial.targetPort)];
    for (const role of roles) {
      const table = await culvert(["status", "--config", trial.configFile(role)]);
      expect(table).toMatchObject({ code: 0, stderr: "" });
      const own = role === "relay" ? identifiers : identifiers.slice(1);
      if (role !== "server") for (const each of own) expect(table.stdout).toContain(each);
      const json = await culvert(["status", "--json", "--config", trial.configFile(role)]);
      expect(json).toMatchObject({ code: 0, stderr: "" });
      const status = JSON.parse(json.stdout) as RelayStatus;
      expect(status.connections).toHaveLength(1);
      expect(status.connections[0]).toMatchObject({
        clientPort: live.localPort,
        target: String(trial.targetPort),
        bytesUp: 1024,
        bytesDown: 1024,
      });
      expect(status.connections[0]!.ageMs).toBeGreaterThan(0);
      expect((await stat(trial.path(`${role}.sock`))).mode & 0o777).toBe(0o600);
    }
    const relay = await trial.status("relay");
    expect(relay.connections[0]).toMatchObject({ client: "laptop", server: "lan-box" });
  });

  it("ends with 1 and one clear line where no daemon runs", async () => {
    const trial = await useTrial();
    const result = await culvert(["status", "--config", trial.configFile("relay")]);
    expect(result).toMatchObject({ code: 1, stdout: "" });
    expect(result.stderr).toMatch(/^culvert: no daemon .*relay\.sock\n$/);
  });

  it("finds a socket that another one's death left behind taken over", async () => {
    const trial = await useTrial();
    await trial.start(["relay"]);
    await trial.daemon("relay").kill();
    await trial.startOne("relay");
    expect((await trial.status("relay")).role).toBe("relay");
  });

  it("does not let a second daemon of the same configuration push the first one out", async () => {
    const trial = await useTrial();
    await trial.start(["relay"]);
    const second = await culvert(["relay", "--config", trial.configFile("relay")]);
    expect(second.code).toBe(1);
    expect((await trial.status("relay")).role).toBe("relay");
  });
});

describe("culvert check", () => {
  it("prints the effective configuration of each daemon, sound as it stands, and its memory", async () => {
    const trial = await useTrial();
    for (const role of roles) {
      const result = await culvert(["check", "--config", trial.configFile(role)]);
      expect(result.code).toBe(0);
      expect(result.stdout).toMatch(/memory: \d/i);
      const copy = trial.path(`copy-of-${role}.yaml`);
      await writeFile(copy, result.stdout);
      const again = await culvert(["check", "--config", copy]);
      expect(again.code).toBe(0);
      expect(parse(again.stdout)).toEqual(parse(result.stdout));
    }
  });

  it("takes JSON as well as YAML", async () => {
    const trial = await useTrial();
    const file = trial.path("relay.json");
    await writeFile(file, JSON.stringify(parse(await readFile(trial.configFile("relay"), "utf8"))));
    expect((await culvert(["check", "--config", file])).code).toBe(0);
  });

  it("never prints a secret", async () => {
    const trial = await useTrial();
    await trial.edit("client", (config) => {
      config["socks"] = { listen: "127.0.0.1:1080", users: { alice: "wonderland" } };
    });
    const file = trial.configFile("client");
    for (const flags of [[], ["--json"]]) {
      const result = await culvert(["check", "--config", file, ...flags]);
      expect(result.code).toBe(0);
      expect(result.stdout).toContain("alice");
      expect(result.stdout).not.toContain("wonderland");
      expect(result.stdout).not.toContain(
        (await readFile(trial.path("client.key"), "utf8")).trim().split("\n").at(-2),
      );
    }
  });
});

describe("precedence: flags over environment over file over defaults", () => {
  const table = [
    { flag: "1s", env: "2s", file: "3s", expected: "1s" },
    { flag: "1s", env: "2s", file: undefined, expected: "1s" },
    { flag: "1s", env: undefined, file: "3s", expected: "1s" },
    { flag: "1s", env: undefined, file: undefined, expected: "1s" },
    { flag: undefined, env: "2s", file: "3s", expected: "2s" },
    { flag: undefined, env: "2s", file: undefined, expected: "2s" },
    { flag: undefined, env: undefined, file: "3s", expected: "3s" },
    { flag: undefined, env: undefined, file: undefined, expected: "30s" },
  ];
  it("holds for every combination", async () => {
    const trial = await useTrial();
    for (const { flag, env, file, expected } of table) {
      await trial.edit("relay", (config) => {
        delete config["drain"];
        if (file !== undefined) config["drain"] = file;
      });
      const relay = await trial.startOne("relay", {
        flags: flag === undefined ? [] : ["--drain", flag],
        env: env === undefined ? {} : { CULVERT_DRAIN: env },
      });
      const effective = relay.named("config.effective")[0]?.["config"];
      expect(effective).toMatchObject({ drain: expected });
      await relay.stop();
    }
  });

  it("holds for a key inside another, and --config may come from the environment", async () => {
    const trial = await useTrial();
    await trial.edit("relay", (config) => {
      config["quic"] = { engine: "quinn", idleTimeout: "9s" };
    });
    const env = {
      CULVERT_CONFIG: trial.configFile("relay"),
      CULVERT_QUIC_ENGINE: "quiche",
      CULVERT_QUIC_KEEP_ALIVE: "1s",
    };
    const result = await culvert(["check", "--json"], { env });
    expect(result.code).toBe(0);
    const { effective } = JSON.parse(result.stdout) as { effective: Config };
    expect(effective["quic"]).toMatchObject({
      engine: "quiche",
      idleTimeout: "9s",
      keepAlive: "1s",
    });
  });
});

describe("signals", () => {
  it("a second signal ends the drain at once, with 1", async () => {
    const trial = await useRunningTrial();
    await useEcho(trial);
    await openLive(trial.listenPort);
    const server = trial.daemon("server");
    server.child.signal("SIGTERM");
    await waitUntil("draining", () => server.named("daemon.draining").length > 0);
    expect(server.child.running).toBe(true);
    const { value, tookMs } = await timed(() => server.stop());
    expect(value).toEqual({ code: 1, signal: null });
    expect(tookMs).toBeLessThan(1_000);
  });

  it("a drain takes nothing new, lets the old go on, and ends with the last of them", async () => {
    const trial = await useRunningTrial();
    await useEcho(trial);
    for (const role of ["client", "server", "relay"] as const) {
      const live = await openLive(trial.listenPort);
      const daemon = trial.daemon(role);
      daemon.child.signal("SIGTERM");
      await waitUntil("draining", () => daemon.named("daemon.draining").length > 0);
      const extra = await culvert(
        ["connect", `lan-box:${trial.targetPort}`, "--config", trial.configFile("client")],
        { input: "hello" },
      );
      // The client's drain is its own affair; the other two refuse whoever asks.
      expect(extra.code, `a new connection while the ${role} drains`).toBe(
        role === "client" ? 0 : 1,
      );
      live.write("still here");
      await waitUntil("the echo of an old connection", () => live.read() !== null);
      live.destroy();
      expect(await daemon.exit(3_000)).toEqual({ code: 0, signal: null });
      await trial.startOne(role);
      await trial.attached();
    }
  });
});

describe("culvert demo", () => {
  it("sends data through all hops, checks it, and with --once ends with 0 and leaves nothing", async () => {
    const temporary = await useTempFolder();
    const result = await culvert(["demo", "--once"], {
      env: { TMPDIR: temporary },
      timeoutMs: 60_000,
    });
    expect(result.code).toBe(0);
    expect(result.stdout).toMatch(/MiB\/s/);
    expect(await readdir(temporary)).toEqual([]);
  });

  it("stays up, carries a connection of one's own, and cleans up after Ctrl-C", async () => {
    const temporary = await useTempFolder();
    const demo = new Child(process.execPath, [culvertPath, "demo"], {
      env: { TMPDIR: temporary },
    });
    endWithTest(demo);
    let said = "";
    demo.stdout.on("data", (chunk: Buffer) => (said += chunk.toString("utf8")));
    demo.stderr.resume();
    const port = await waitUntil("how to connect", () => /nc 127\.0\.0\.1 (\d+)/.exec(said)?.[1], {
      withinMs: 30_000,
    });
    await openLive(Number(port));
    demo.signal("SIGINT");
    expect(await within(10_000, "the demo ends", demo.exited)).toMatchObject({ code: 0 });
    expect(await readdir(temporary)).toEqual([]);
  });
});

describe("mappings by flag", () => {
  it("adds to those of the file", async () => {
    const trial = await useTrial();
    await useEcho(trial);
    await trial.start(["relay", "server"]);
    const port = await freePort();
    await mkdir(trial.path("elsewhere"));
    const client = await startDaemon("client", trial.configFile("client"), {
      cwd: trial.path("elsewhere"),
      flags: ["--forward", `127.0.0.1:${port}=lan-box:${trial.targetPort}`],
    });
    endWithTest(client.child);
    expect(client.lines).toEqual([`ready client 127.0.0.1:${trial.listenPort} 127.0.0.1:${port}`]);
    await openLive(trial.listenPort);
    await openLive(port);
  });
});
