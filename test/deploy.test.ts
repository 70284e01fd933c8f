import { readdirSync } from "node:fs";
import { copyFile, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { run } from "./support/child.ts";
import { culvert } from "./support/culvert.ts";
import { missing } from "./support/requires.ts";
import { useTempFolder } from "./support/temp-folder.ts";
import { roles, type Config } from "./support/trial.ts";

const deploy = fileURLToPath(new URL("../deploy", import.meta.url));
const examples = readdirSync(join(deploy, "config"));
const units = readdirSync(join(deploy, "systemd"));

describe("example configurations", () => {
  it("are there for each daemon", () => {
    expect(examples).toEqual(expect.arrayContaining(roles.map((role) => `${role}.yaml`)));
  });

  it.each(examples)("%s is sound as it stands, with a key beside it", async (name) => {
    const folder = await useTempFolder();
    const file = join(folder, name);
    await copyFile(join(deploy, "config", name), file);
    const { identity } = parse(await readFile(file, "utf8")) as {
      identity: { keyFile: string };
    };
    // An absolute path would make the test depend on what is installed here.
    expect(identity.keyFile).toBe(basename(identity.keyFile));
    expect((await culvert(["key", "generate", join(folder, identity.keyFile)])).code).toBe(0);
    const result = await culvert(["check", "--config", file]);
    expect(result).toMatchObject({ code: 0, stderr: "" });
    expect(result.stdout).toContain(`of a ${name.replace(".yaml", "")} `);
  });

  it("fit together: the client's mappings are granted and offered", async () => {
    const [relay, server, client] = await Promise.all(
      roles.map(async (role) => {
        return parse(await readFile(join(deploy, "config", `${role}.yaml`), "utf8")) as Config;
      }),
    );
    const peers = relay!["peers"] as { name: string; role: string }[];
    expect(peers).toContainEqual(
      expect.objectContaining({ name: server!["name"], role: "server" }),
    );
    expect(peers).toContainEqual(
      expect.objectContaining({ name: client!["name"], role: "client" }),
    );
    expect(server!["relay"]).toEqual(client!["relay"]);
    const [grant] = relay!["grants"] as { services: unknown[] }[];
    for (const { to } of client!["forwards"] as { to: string }[]) {
      const target = to.slice(to.indexOf(":") + 1);
      expect(grant!.services.map(String)).toContain(target);
      const services = Object.keys(server!["services"] as Config);
      const allowed = (server!["allow"] as string[]).map((rule) => rule.split(":").at(-1));
      expect([...services, ...allowed]).toContain(target);
    }
  });
});

describe("systemd units", () => {
  it("are there for each daemon", () => {
    expect(units.sort()).toEqual(roles.map((role) => `culvert-${role}.service`).sort());
  });

  it.each(units)("%s starts its own daemon, in a sandbox", async (name) => {
    const text = await readFile(join(deploy, "systemd", name), "utf8");
    const role = name.replace(/^culvert-|\.service$/g, "");
    expect(text).toMatch(new RegExp(`^ExecStart=/\\S+/culvert ${role} --config \\S+$`, "m"));
    const sandbox = [
      "NoNewPrivileges=yes",
      "ProtectSystem=strict",
      "PrivateTmp=yes",
      "PrivateDevices=yes",
      "RestrictNamespaces=yes",
      "SystemCallFilter=@system-service",
    ];
    for (const line of sandbox) expect(text.split("\n")).toContain(line);
    // The default drain must fit in before systemd loses patience.
    expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(text)?.[1])).toBeGreaterThan(30);
    expect(text).not.toMatch(/^MemoryDenyWriteExecute=yes/m);
  });

  it("the relay's may write to where the example keeps certificates", async () => {
    const unit = await readFile(join(deploy, "systemd", "culvert-relay.service"), "utf8");
    const example = await readFile(join(deploy, "config", "relay.yaml"), "utf8");
    const state = /^StateDirectory=(\S+)$/m.exec(unit)?.[1];
    expect(state).toBeDefined();
    expect(/stateDir: (\S+)\/acme /.exec(example)?.[1]).toBe(`/var/lib/${state}`);
  });

  it.skipIf(missing("systemd-analyze")).each(units)("%s passes systemd-analyze", async (name) => {
    const result = await run("systemd-analyze", ["verify", join(deploy, "systemd", name)]);
    const about = result.stderr.split("\n").filter((line) => line.includes(name));
    // The program itself is not installed where the tests run.
    expect(about.filter((line) => !line.includes("is not executable"))).toEqual([]);
  });
});

describe("Dockerfile", () => {
  it("copies what exists, names its base exactly enough, and does not run as root", async () => {
    const text = await readFile(join(deploy, "Dockerfile"), "utf8");
    expect(text).toMatch(/^FROM node:\d+/m);
    expect(text).not.toMatch(/^FROM \S+:latest/m);
    expect(text).toMatch(/^USER (?!root)\w+$/m);
    const top = readdirSync(join(deploy, ".."));
    for (const [, sources] of text.matchAll(/^COPY (?!--from)(.+) \S+$/gm)) {
      for (const source of sources!.split(" ")) expect(top).toContain(source.replace("./", ""));
    }
  });
});
