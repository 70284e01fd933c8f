import { chmod, rm, writeFile } from "node:fs/promises";
import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { stringify } from "yaml";
import { loadConfig } from "@culvert/config";
import { ConfigError } from "@culvert/runtime";
import { culvert } from "./support/culvert.ts";
import { Daemon, type Role } from "./support/daemon.ts";
import { freePort } from "./support/ports.ts";
import { roles, useTrial, type Config, type Trial } from "./support/trial.ts";

describe("every key wrong", () => {
  it.each(roles)("in turn: the %s's error names the key", async (role) => {
    const trial = await useTrial();
    const whole = await effective(trial, role);
    const paths = leaves(whole);
    expect(paths.length).toBeGreaterThan(15);
    const file = trial.path("wrong.yaml");
    for (const path of paths) {
      await writeFile(file, stringify(changed(whole, path, { certainly: "wrong" })));
      expect(() => loadConfig(role, { file }), path).toThrow(ConfigError);
      expect(() => loadConfig(role, { file }), path).toThrow(path);
    }
  });

  it.each(roles)("all at once: the %s names every key, and ends with 2", async (role) => {
    const trial = await useTrial();
    const whole = await effective(trial, role);
    const paths = leaves(whole);
    const wrong = paths.reduce((config, path) => changed(config, path, { a: "b" }), whole);
    const file = trial.configFile(role);
    await writeFile(file, stringify(wrong));
    for (const command of [role, "check"]) {
      const result = await culvert([command, "--config", file]);
      expect(result).toMatchObject({ code: 2, stdout: "" });
      if (command === role) for (const path of paths) expect(result.stderr).toContain(path);
    }
  });

  it.each([
    { role: "relay", key: "lisen", meant: "listen" },
    { role: "relay", key: "grant", meant: "grants" },
    { role: "server", key: "alow", meant: "allow" },
    { role: "client", key: "forward", meant: "forwards" },
    { role: "client", key: "engine", meant: "quic.engine" },
  ] as const)("unknown key $key of the $role: suggests $meant", async ({ role, key, meant }) => {
    const trial = await useTrial();
    await trial.edit(role, (config) => {
      config[key] = [];
    });
    const result = await culvert([role, "--config", trial.configFile(role)]);
    expect(result).toMatchObject({ code: 2, stdout: "" });
    expect(result.stderr).toContain(key);
    expect(result.stderr).toMatch(new RegExp(`\\b${meant.replace(".", "\\.")}\\b`));
  });

  it.each(["not: [yaml", "- a list\n", "", "just text\n", "\0\0\0", "a: &x [*x]\n"])(
    "a file that is no configuration: %j",
    async (text) => {
      const trial = await useTrial();
      await writeFile(trial.configFile("relay"), text);
      const result = await culvert(["relay", "--config", trial.configFile("relay")]);
      expect(result).toMatchObject({ code: 2, stdout: "" });
      expect(result.stderr).toContain("relay.yaml");
      expect(result.stderr).not.toMatch(/^ +at /m);
    },
  );

  it("an unknown environment variable of ours is an error, one that is meant for others is not", async () => {
    const trial = await useTrial();
    const args = ["check", "--config", trial.configFile("relay")];
    const mistyped = await culvert(args, { env: { CULVERT_DRIAN: "3s" } });
    expect(mistyped.code).toBe(2);
    expect(mistyped.stderr).toMatch(/CULVERT_DRIAN.*CULVERT_DRAIN/);
    expect((await culvert(args, { env: { DRIAN: "3s" } })).code).toBe(0);
  });
});

describe("a port already in use: one clear line that names it, and exit 1", () => {
  it("the relay's UDP port", async () => {
    const trial = await useTrial();
    const port = await holdUdp();
    await trial.edit("relay", (config) => {
      config["listen"] = [`127.0.0.1:${port}`];
    });
    await expectInUse(trial, "relay", port);
  });

  it("the relay's UDP port, engine quinn", async () => {
    const trial = await useTrial();
    const port = await holdUdp();
    await trial.edit("relay", (config) => {
      config["listen"] = [`127.0.0.1:${port}`];
      config["quic"] = { engine: "quinn" };
    });
    await expectInUse(trial, "relay", port);
  });

  it.each(roles)("the admin port of the %s", async (role) => {
    const trial = await useTrial();
    const port = await holdTcp();
    await trial.edit(role, (config) => {
      config["admin"] = { listen: `127.0.0.1:${port}` };
    });
    await expectInUse(trial, role, port);
  });

  it.each([
    ["a mapping", (at: string) => ({ forwards: [{ listen: at, to: "lan-box:22" }] })],
    ["the SOCKS5 proxy", (at: string) => ({ socks: { listen: at } })],
    ["the HTTP proxy", (at: string) => ({ httpProxy: { listen: at } })],
  ])("%s of the client", async (_, keys) => {
    const trial = await useTrial();
    const port = await holdTcp();
    await trial.edit("client", (config) => Object.assign(config, keys(`127.0.0.1:${port}`)));
    await expectInUse(trial, "client", port);
  });

  it("two listeners of one client at the same port are already a wrong configuration", async () => {
    const trial = await useTrial();
    const at = `127.0.0.1:${await freePort()}`;
    await trial.edit("client", (config) => {
      config["socks"] = { listen: at };
      config["httpProxy"] = { listen: at };
    });
    const result = await culvert(["client", "--config", trial.configFile("client")]);
    expect(result).toMatchObject({ code: 2, stdout: "" });
    expect(result.stderr).toContain(at);
  });
});

describe("key files", () => {
  it.each(roles)("the %s refuses a key that others can read, with 2", async (role) => {
    const trial = await useTrial();
    for (const mode of [0o644, 0o640, 0o604, 0o660]) {
      await chmod(trial.path(`${role}.key`), mode);
      for (const command of [role, "check"]) {
        const result = await culvert([command, "--config", trial.configFile(role)]);
        expect(result).toMatchObject({ code: 2, stdout: "" });
        expect(result.stderr).toContain(`${role}.key`);
        expect(result.stderr).toMatch(/chmod|0600|600/);
      }
    }
    await chmod(trial.path(`${role}.key`), 0o400);
    expect((await culvert(["check", "--config", trial.configFile(role)])).code).toBe(0);
  });

  it("refuses a key that is absent, empty, of another kind or too long, with 2", async () => {
    const trial = await useTrial();
    const file = trial.path("relay.key");
    const ends = async (): Promise<void> => {
      const result = await culvert(["relay", "--config", trial.configFile("relay")]);
      expect(result).toMatchObject({ code: 2, stdout: "" });
      expect(result.stderr).toContain("relay.key");
      expect(result.stderr.trim().split("\n")).toHaveLength(1);
    };
    const contents = [
      "",
      "no key",
      "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ];
    for (const content of [...contents, "x".repeat(10 * 1024 * 1024)]) {
      await writeFile(file, content, { mode: 0o600 });
      await ends();
    }
    await rm(file);
    await ends();
  });
});

/** Starts the daemon and asserts that it ends with 1 and one plain line that names the port. */
async function expectInUse(trial: Trial, role: Role, port: number): Promise<void> {
  const daemon = new Daemon(role, trial.configFile(role), { cwd: trial.folder });
  onTestFinished(async () => {
    await daemon.kill();
  });
  expect(await daemon.exit(5_000)).toEqual({ code: 1, signal: null });
  expect(daemon.lines).toEqual([]);
  expect(daemon.strayLines).toHaveLength(1);
  expect(daemon.strayLines[0]).toMatch(new RegExp(`^culvert: .*\\b${port}\\b.*`));
  expect(daemon.strayLines[0]).toMatch(/in use/);
}

async function holdUdp(): Promise<number> {
  const socket = createSocket("udp4");
  onTestFinished(() => {
    socket.close();
  });
  const port = await freePort();
  await new Promise<void>((resolve) => socket.bind(port, "127.0.0.1", resolve));
  return port;
}

async function holdTcp(): Promise<number> {
  const server = createServer();
  onTestFinished(() => {
    server.close();
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return port;
}

/** The complete configuration of a daemon, defaults included. */
async function effective(trial: Trial, role: Role): Promise<Config> {
  const result = await culvert(["check", "--json", "--config", trial.configFile(role)]);
  expect(result.code).toBe(0);
  return (JSON.parse(result.stdout) as { effective: Config }).effective;
}

/** The dotted paths of everything that is not a mapping. */
function leaves(config: Config, prefix = ""): readonly string[] {
  return Object.entries(config).flatMap(([key, value]) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? leaves(value as Config, `${prefix}${key}.`)
      : [prefix + key],
  );
}

function changed(config: Config, path: string, value: unknown): Config {
  const [key = "", ...rest] = path.split(".");
  const inner = rest.length === 0 ? value : changed(config[key] as Config, rest.join("."), value);
  return { ...config, [key]: inner };
}
