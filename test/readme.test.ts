import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { loadConfig } from "@culvert/config";
import { culvert } from "./support/culvert.ts";
import { roles, useTrial } from "./support/trial.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const readme = readFileSync(join(root, "README.md"), "utf8");
const scripts = (
  JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: object }
).scripts;

describe("README", () => {
  it("has the two commands, word for word", () => {
    const blocks = [...readme.matchAll(/```sh\n([^`]*)```/g)].map(([, code]) => code!.trim());
    expect(blocks).toContain("npm install && npm run demo");
    expect(blocks).toContain("npm install && npm test");
  });

  it("names only npm scripts that exist", () => {
    for (const [, script] of readme.matchAll(/npm run ([\w:-]+)/g)) {
      expect(Object.keys(scripts)).toContain(script);
    }
    expect(Object.keys(scripts)).toContain("test");
  });

  it("names only commands and flags that exist", async () => {
    const uses = [...readme.matchAll(/\bculvert ((?:[a-z]+ ?)(?:[^\n`|]*))/g)].map(
      ([, rest]) => rest!,
    );
    const known = [
      "agent",
      "demo",
      "init",
      "relay",
      "server",
      "client",
      "connect",
      "key",
      "status",
      "check",
    ];
    let seen = 0;
    for (const use of uses) {
      const command = /^[a-z]+/.exec(use)?.[0] ?? "";
      if (!known.includes(command)) continue;
      seen += 1;
      const flags = use.match(/--[a-z-]+/g) ?? [];
      if (flags.length === 0) continue;
      const { stdout } = await culvert([command, "--help"]);
      for (const flag of flags) expect(stdout, `culvert ${use}`).toContain(flag);
    }
    expect(seen).toBeGreaterThan(8);
  });

  it("lists every command of the help in its table", async () => {
    const { stdout } = await culvert(["--help"]);
    const listed = [...stdout.matchAll(/^ {2}([a-z]+) .*\S/gm)].map(([, command]) => command!);
    expect(listed.length).toBeGreaterThan(8);
    for (const command of listed) {
      if (command === "help" || command === "culvert") continue;
      expect(readme).toMatch(new RegExp(`(culvert |\`)${command}\\b`));
    }
  });
});

describe.each(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"])(
  "%s",
  (name) => {
    it.runIf(existsSync(join(root, name)))("links only to what is there", () => {
      const text = readFileSync(join(root, name), "utf8");
      for (const [, link] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
        if (/^[a-z]+:/.test(link!)) continue;
        const path = join(root, dirname(name), link!);
        expect(existsSync(path), `${name} links to ${link}`).toBe(true);
      }
    });
  },
);

describe("docs/configuration.md", () => {
  it("has every key of every daemon, and every key's variable", async () => {
    const text = readFileSync(join(root, "docs/configuration.md"), "utf8");
    const trial = await useTrial();
    for (const role of roles) {
      const file = trial.configFile(role);
      const { effective } = loadConfig(role, { file });
      for (const path of keys(effective)) {
        const variable = `CULVERT_${path
          .replaceAll(".", "_")
          .replaceAll(/([a-z])([A-Z])/g, "$1_$2")
          .toUpperCase()}`;
        expect(text, role).toContain(`\`${path}\``);
        expect(text, role).toContain(variable);
      }
    }
  });
});

describe("scripts/five-terminals", () => {
  it("can be executed", () => {
    expect(statSync(join(root, "scripts/five-terminals")).mode & 0o111).toBe(0o111);
  });
});

/** Dotted paths of a configuration; what stands inside lists or maps of names is the value of its key. */
function keys(config: Readonly<Record<string, unknown>>, prefix = ""): readonly string[] {
  return Object.entries(config).flatMap(([key, value]) => {
    const named = ["services", "users"].includes(key);
    const inner = typeof value === "object" && value !== null && !Array.isArray(value) && !named;
    return inner ? keys(value as Record<string, unknown>, `${prefix}${key}.`) : [`${prefix}${key}`];
  });
}
