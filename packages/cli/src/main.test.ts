import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createProgram, main } from "./main.ts";

let folder = "";
let out = "";
let err = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "culvert-main-"));
  out = "";
  err = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += String(text);
    return true;
  });
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    err += String(text);
    return true;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
  rmSync(folder, { recursive: true });
});

async function culvert(...args: string[]): Promise<number> {
  process.exitCode = undefined;
  await main(["node", "culvert", ...args]);
  const code: unknown = process.exitCode;
  return typeof code === "number" ? code : 0;
}

test("--version and --help are answered on standard output", async () => {
  expect(await culvert("--version")).toBe(0);
  expect(out).toMatch(/^\d+\.\d+\.\d+\n$/);
  expect(await culvert("--help")).toBe(0);
  for (const { name } of createProgram().commands.map((command) => ({ name: command.name() }))) {
    if (name !== "demo-end-server") expect(out).toContain(name);
  }
  expect(out).not.toContain("demo-end-server");
  expect(err).toBe("");
});

test.each([
  [["frobnicate"], /^culvert: unknown command 'frobnicate'\n$/],
  [["relai"], /Did you mean relay\?/],
  [["relay"], /^culvert: required option '-c, --config <file>' not specified\n$/],
  [["relay", "--config"], /^culvert: option '-c, --config <file>' argument missing\n$/],
  [["relay", "--config", "/nowhere/x.yaml"], /^culvert: cannot read the configuration \/nowhere/],
  [["relay", "--config", "x", "--lisen", "y"], /unknown option '--lisen'/],
  [["init"], /^culvert: missing required argument 'dir'\n$/],
  [["init", "x", "--relay-port", "99999"], /It must be a port from 1 to 65535/],
  [
    ["key", "show", "/nowhere/k"],
    /^culvert: cannot read the key file \/nowhere\/k: no such file\n$/,
  ],
  [["status", "--config", "/nowhere/x.yaml"], /^culvert: cannot read the configuration/],
  [["check", "--config", "/nowhere/x.yaml"], /^culvert: cannot read the configuration/],
  [["connect", "lan-box", "--config", "/nowhere/x"], /^culvert: expected SERVER:TARGET/],
])("%o is wrong usage: exit code 2 and one message on standard error", async (args, message) => {
  expect(await culvert(...args)).toBe(2);
  expect(err).toMatch(message);
  expect(out).toBe("");
});

test("without a command, the help is shown and the exit code is 2", async () => {
  expect(await culvert()).toBe(2);
  expect(err).toContain("Usage: culvert");
});

test("init, key show, check and status work together", async () => {
  const dir = join(folder, "trial");
  expect(await culvert("init", dir, "--target-port", "22")).toBe(0);
  expect(out).toContain("nc 127.0.0.1 30381");
  expect(existsSync(join(dir, "relay.yaml"))).toBe(true);
  expect(await culvert("init", dir)).toBe(2);
  expect(err).toContain("nothing is overwritten");
  out = "";
  expect(await culvert("key", "show", join(dir, "relay.key"))).toBe(0);
  const peerId = out.trim();
  expect(readFileSync(join(dir, "client.yaml"), "utf8")).toContain(`id: ${peerId}`);
  out = "";
  expect(await culvert("check", "--config", join(dir, "relay.yaml"))).toBe(0);
  expect(out).toContain(peerId);
  err = "";
  expect(await culvert("status", "--config", join(dir, "relay.yaml"))).toBe(1);
  expect(err).toMatch(/^culvert: no daemon with this configuration runs here: .*\n$/);
});

test("key generate writes a new key and never overwrites one", async () => {
  const file = join(folder, "a.key");
  expect(await culvert("key", "generate", file)).toBe(0);
  expect(out).toMatch(/^12D3KooW\w{44}\n$/);
  const before = readFileSync(file, "utf8");
  expect(await culvert("key", "generate", file)).toBe(2);
  expect(readFileSync(file, "utf8")).toBe(before);
});

test("every command explains itself", () => {
  for (const command of createProgram().commands) {
    const help = command.helpInformation();
    expect(help).toMatch(/Usage: culvert \w+/);
    expect(command.description(), command.name()).toMatch(/\.$/);
  }
});

test("starting up loads commander and nothing else from outside", () => {
  const seen = new Set<string>();
  const outside = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    const imports = readFileSync(file, "utf8").matchAll(/^import (?!type )[^"]*?"([^"]+)";/gms);
    for (const [, name] of imports) {
      if (name!.startsWith(".")) visit(join(dirname(file), name!));
      else outside.add(name!);
    }
  };
  visit(join(dirname(fileURLToPath(import.meta.url)), "main.ts"));
  expect(seen.size).toBeGreaterThan(10);
  expect([...outside].sort()).toEqual(["commander", "node:fs"]);
});
