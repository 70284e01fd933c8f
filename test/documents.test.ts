import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadClientConfig, loadRelayConfig, loadServerConfig } from "@culvert/config";
import { describe, expect, it } from "vitest";
import { configurationReference } from "../scripts/configuration-reference.ts";
import { culvert } from "./support/culvert.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), "utf8");

describe("deploy", () => {
  it.each([
    ["relay", loadRelayConfig],
    ["server", loadServerConfig],
    ["client", loadClientConfig],
  ] as const)("has an example configuration of the %s that parses", (role, load) => {
    const file = join(root, `deploy/config/${role}.yaml`);
    const config = load({ file, env: {}, flags: [] });
    expect(config.role).toBe(role);
  });

  it.each(["relay", "server", "client"])("runs the %s in a sandbox under systemd", (role) => {
    const unit = read(`deploy/systemd/culvert-${role}.service`);
    expect(unit).toContain(`ExecStart=/usr/bin/culvert ${role} --config /etc/culvert/${role}.yaml`);
    for (const guard of ["NoNewPrivileges=yes", "ProtectSystem=strict", "DynamicUser=yes"]) {
      expect(unit).toContain(guard);
    }
  });

  it("builds an image from files that exist", () => {
    const sources = [...read("deploy/Dockerfile").matchAll(/^COPY (?!--from)(.+) \S+$/gm)];
    expect(sources.length).toBeGreaterThan(0);
    for (const [, names] of sources) {
      for (const name of (names ?? "").split(" ")) expect(existsSync(join(root, name))).toBe(true);
    }
  });
});

describe("the documents", () => {
  const documents = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "packages/wire/PROTOCOL.md",
    ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".md"))
      .map((name) => `docs/${name}`),
  ];

  it.each(documents)("%s links only to files that exist", (document) => {
    for (const [, target] of read(document).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)) {
      const path = join(root, dirname(document), target ?? "");
      expect(existsSync(path), `${target} in ${document}`).toBe(true);
    }
  });

  it("have a configuration reference that is up to date (npm run docs:configuration)", async () => {
    expect(read("docs/configuration.md")).toBe(await configurationReference());
  });

  it("name in the README every command that the program has", async () => {
    const { stdout } = await culvert(["--help"]);
    const commands = [...stdout.matchAll(/^ {2}([a-z]+)[ |]/gm)].map(([, name]) => name ?? "");
    expect(commands).toContain("relay");
    for (const name of commands.filter((command) => command !== "help")) {
      expect(read("README.md")).toContain(name);
    }
  });

  it("give the two set-up commands word for word", () => {
    expect(read("README.md")).toContain("npm install && npm run demo");
    expect(read("README.md")).toContain("npm install && npm test");
  });
});
