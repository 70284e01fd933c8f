import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError } from "@culvert/runtime";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { loadClientConfig } from "./client-config.ts";
import type { Role } from "./common-schema.ts";
import { describeKeys } from "./describe-keys.ts";
import type { Flag } from "./load.ts";
import { loadConfig } from "./load-config.ts";
import { loadRelayConfig } from "./relay-config.ts";

const id = "12D3KooWMEJpZ5V8AutHoFTXLiRZZ7kqBAy9CdyrdYuWNG1JimL1";
const folder = mkdtempSync(join(tmpdir(), "culvert-config-"));
afterAll(() => rmSync(folder, { recursive: true }));

const base: Readonly<Record<Role, Readonly<Record<string, unknown>>>> = {
  relay: { identity: { keyFile: "k" }, web: { plain: ["127.0.0.1:0"] } },
  server: { identity: { keyFile: "k" }, name: "s", relay: { address: "127.0.0.1:1", id } },
  client: { identity: { keyFile: "k" }, name: "c", relay: { address: "127.0.0.1:1", id } },
};
const roles: readonly Role[] = ["relay", "server", "client"];

function write(tree: unknown): string {
  const file = join(folder, "config.json");
  writeFileSync(file, JSON.stringify(tree));
  return file;
}

describe("flags win over the environment, the environment over the file, the file over defaults", () => {
  test.each([
    { file: undefined, env: undefined, flag: undefined, level: "info" },
    { file: "warn", env: undefined, flag: undefined, level: "warn" },
    { file: undefined, env: "error", flag: undefined, level: "error" },
    { file: undefined, env: undefined, flag: "debug", level: "debug" },
    { file: "warn", env: "error", flag: undefined, level: "error" },
    { file: "warn", env: undefined, flag: "debug", level: "debug" },
    { file: undefined, env: "error", flag: "debug", level: "debug" },
    { file: "warn", env: "error", flag: "debug", level: "debug" },
    { file: "warn", env: "", flag: undefined, level: "warn" },
  ])("file $file, environment $env, flag $flag: $level", ({ file, env, flag, level }) => {
    const flags: Flag[] =
      flag === undefined ? [] : [{ path: "log.level", name: "--log-level", value: flag }];
    for (const role of roles) {
      const tree = { ...base[role], ...(file === undefined ? {} : { log: { level: file } }) };
      const sources = { file: write(tree), env: { CULVERT_LOG_LEVEL: env }, flags };
      expect(loadConfig(role, sources).log.level).toBe(level);
    }
  });
});

test("lists and mappings in the environment have blanks between their entries, or are JSON", () => {
  const file = write(base.relay);
  const read = (env: Record<string, string>) => loadRelayConfig({ file, env });
  expect(read({ CULVERT_LISTEN: "127.0.0.1:1 [::1]:2" }).listen).toHaveLength(2);
  expect(read({ CULVERT_LISTEN: '["127.0.0.1:1"]' }).listen).toHaveLength(1);
  const peers = JSON.stringify([{ name: "a", id, role: "client" }]);
  expect(read({ CULVERT_PEERS: peers }).peers).toEqual([{ name: "a", id, role: "client" }]);
  const config = loadConfig("server", {
    file: write(base.server),
    env: {
      CULVERT_SERVICES: "ssh=127.0.0.1:22 vnc=127.0.0.1:5900",
      CULVERT_ALLOW: "10.0.0.0/8:22,80 h:1",
    },
  });
  expect(config.effective).toMatchObject({
    services: { ssh: "127.0.0.1:22", vnc: "127.0.0.1:5900" },
    allow: ["10.0.0.0/8:22,80", "h:1"],
  });
});

test("forwards given by flag are added to those of the file", () => {
  const file = write({ ...base.client, forwards: ["127.0.0.1:1=s:ssh"] });
  const value = ["127.0.0.1:2=s:22", "127.0.0.1:3=s:23"];
  const flags: Flag[] = [{ path: "forwards", name: "--forward", value, adds: true }];
  const config = loadClientConfig({ file, flags });
  expect(config.forwards.map(({ listen }) => listen.port)).toEqual([1, 2, 3]);
  const wrong: Flag[] = [{ path: "forwards", name: "--forward", value: ["x"], adds: true }];
  expect(() => loadClientConfig({ file, flags: wrong })).toThrow("--forward[0]: expected LISTEN");
});

test("a problem is told with the source that caused it", () => {
  const file = write({ ...base.relay, drain: "1x" });
  const env = { CULVERT_LOG_LEVEL: "loud", CULVERT_LOG_LEVLE: "info", OTHER: "x" };
  const flags: Flag[] = [{ path: "quic.engine", name: "--engine", value: "steam" }];
  expect(() => loadRelayConfig({ file, env, flags })).toThrow(
    expect.objectContaining({
      data: {
        source: file,
        problems: [
          { path: "CULVERT_LOG_LEVLE", text: "unknown variable; did you mean CULVERT_LOG_LEVEL?" },
          expect.objectContaining({ path: "drain" }),
          expect.objectContaining({ path: "CULVERT_LOG_LEVEL" }),
          expect.objectContaining({ path: "--engine" }),
        ],
      },
    }) as Error,
  );
});

describe.each(roles)("every key of a %s, wrong in turn", (role) => {
  const keys = describeKeys(role);
  const cases = keys.flatMap(({ path }) => [
    { path, wrong: [["x"]] },
    { path, wrong: -1 },
  ]);

  test.each(cases)("$path: $wrong is refused at its path and nowhere else", ({ path, wrong }) => {
    const problems = problemsWith(role, path, wrong);
    expect(problems.length).toBeGreaterThan(0);
    for (const problem of problems) {
      expect(problem.path.startsWith(path), problem.path).toBe(true);
      expect(problem.text).toMatch(/^expected .*, found |is not a name/);
    }
  });

  test.each(keys.map(({ path }) => path))("a misspelt %s is refused with a suggestion", (path) => {
    const last = path.slice(path.lastIndexOf(".") + 1);
    const misspelt = `${path.slice(0, -last.length)}z${last}`;
    const problems = problemsWith(role, misspelt, "x", path);
    const suggestion = problems.find((problem) => problem.path === misspelt);
    expect(suggestion?.text).toBe(`unknown key; did you mean ${last}?`);
  });

  test.each(keys.map(({ path, variable, expected }) => ({ path, variable, expected })))(
    "$variable sets $path",
    ({ variable, expected }) => {
      const env = { [variable]: "\u0001" };
      const isPath = /^a path\b/.test(expected);
      const load = () => loadConfig(role, { file: write(base[role]), env });
      if (isPath) expect(JSON.stringify(load().effective)).toContain("\\u0001");
      else expect(load).toThrow(variable);
    },
  );
});

test("whatever a file or the environment holds, the outcome is a configuration or a ConfigError", () => {
  const paths = roles.flatMap((role) => describeKeys(role));
  const key = fc.oneof(
    fc.constantFrom(...paths.flatMap(({ path }) => path.split("."))),
    fc.string(),
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.dictionary(key, tie("value"), { maxKeys: 6 }),
    value: fc.oneof(
      { depthSize: "small" },
      fc.jsonValue(),
      tie("tree"),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.constantFrom("127.0.0.1:1", "lan-box", "30s", "4MiB", "auto", "*", id),
    ),
  }));
  const env = fc.dictionary(fc.constantFrom(...paths.map(({ variable }) => variable)), fc.string());
  fc.assert(
    fc.property(fc.constantFrom(...roles), tree, env, (role, values, variables) => {
      try {
        expect(Object.isFrozen(loadConfig(role, { file: write(values), env: variables }))).toBe(
          true,
        );
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigError);
      }
    }),
    { numRuns: 500 },
  );
});

/** The problems of a sound configuration in which one key is another value, and perhaps another is left out. */
function problemsWith(
  role: Role,
  path: string,
  value: unknown,
  without?: string,
): readonly { path: string; text: string }[] {
  const tree = structuredClone(base[role]) as Record<string, unknown>;
  if (without !== undefined) put(tree, without, undefined);
  put(tree, path, value);
  try {
    loadConfig(role, { file: write(tree) });
  } catch (error) {
    const { data } = error as { data: { problems: { path: string; text: string }[] } };
    return data.problems;
  }
  return [];
}

function put(tree: Record<string, unknown>, path: string, value: unknown): void {
  const keys = path.split(".");
  const last = keys.pop()!;
  let at = tree;
  for (const key of keys) at = (at[key] ??= {}) as Record<string, unknown>;
  at[last] = value;
}
