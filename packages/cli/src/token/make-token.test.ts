import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadSecretFile, TokenVerifier, type TokenVerdict } from "@culvert/relay/telebit";
import { systemClock } from "@culvert/runtime";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { main } from "../main.ts";

let folder = "";
let out = "";
let err = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "culvert-token-"));
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
  writeConfig(
    'telebit: { secretFile: telebit.secret, domains: ["*.t.example.com"], ports: "20000-20999" }',
  );
});

afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
  rmSync(folder, { recursive: true });
});

function writeConfig(telebit: string): void {
  writeFileSync(
    join(folder, "relay.yaml"),
    `identity: { keyFile: relay.key }
web: { https: ["127.0.0.1:18443"], names: [relay.example.com] }
${telebit}
`,
  );
}

async function token(...args: string[]): Promise<number> {
  process.exitCode = undefined;
  await main(["node", "culvert", "token", "--config", join(folder, "relay.yaml"), ...args]);
  const code: unknown = process.exitCode;
  return typeof code === "number" ? code : 0;
}

async function verdict(): Promise<TokenVerdict> {
  const secret = await loadSecretFile(join(folder, "telebit.secret"));
  const policy = { domains: ["*.t.example.com"], ports: [{ first: 20_000, last: 20_999 }] };
  const trust = { secret, policy, policyOfPeer: () => undefined, audience: "" };
  return new TokenVerifier(systemClock, trust).verify(out.trim());
}

test("a token is made with the relay's secret, which is made first if it is missing", async () => {
  expect(await token("App.t.example.com", "--port", "20000", "-p", "20001")).toBe(0);
  const path = join(folder, "telebit.secret");
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(err).toContain(`made ${path}`);
  expect(err).toMatch(/a token for app\.t\.example\.com, 20000, 20001, good until \d{4}-/);
  expect(out).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  const made = await verdict();
  expect(made).toMatchObject({
    kind: "good",
    scope: { domains: ["app.t.example.com"], ports: [20_000, 20_001] },
  });
  const before = readFileSync(path, "utf8");
  out = "";
  expect(await token("b.t.example.com", "--expires", "never")).toBe(0);
  expect(readFileSync(path, "utf8")).toBe(before);
  expect(await verdict()).toMatchObject({ kind: "good", expiresAtMs: undefined });
  expect(err).not.toContain(before.trim());
});

test.each<[readonly string[], RegExp]>([
  [["example.com"], /refuse such a token: example.com is not a name this relay gives/],
  [["a.t.example.com", "-p", "22"], /refuse such a token: 22 is not a port/],
  [["not a name"], /refuse such a token: one of its domains is no host name/],
  [[], /neither domains nor ports/],
  [["a.t.example.com", "-p", "x"], /It must be a port/],
  [["a.t.example.com", "--expires", "1y"], /It must be a number and d, h or m/],
])("%j is refused, and no secret is made", async (args, text) => {
  expect(await token(...args)).toBe(2);
  expect(err).toMatch(text);
  expect(out).toBe("");
  expect(existsSync(join(folder, "telebit.secret"))).toBe(false);
});

test("a relay without Telebit makes no tokens", async () => {
  writeConfig("");
  expect(await token("a.t.example.com")).toBe(2);
  expect(err).toMatch(/has no telebit.secretFile/);
});
