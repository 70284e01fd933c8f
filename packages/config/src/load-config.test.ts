import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";
import { ConfigError } from "@culvert/runtime";
import { describe, expect, test } from "vitest";
import type { Role } from "./common-schema.ts";
import { detectRole } from "./detect-role.ts";
import { loadClientConfig } from "./client-config.ts";
import { loadConfig } from "./load-config.ts";
import { loadRelayConfig } from "./relay-config.ts";
import { loadServerConfig } from "./server-config.ts";

const fixtures = join(dirname(fileURLToPath(import.meta.url)), "fixtures");
const files = (folder: string): string[] => readdirSync(join(fixtures, folder)).sort();
const roleOf = (name: string): Role => /^[a-z]+/.exec(name)![0] as Role;

describe("sound configurations", () => {
  test.each(files("valid"))("%s is read, and so is what check would print of it", (name) => {
    const file = join(fixtures, "valid", name);
    const config = loadConfig(roleOf(name), { file });
    expect(Object.isFrozen(config)).toBe(true);
    expect(config.role).toBe(roleOf(name));
    expect(JSON.stringify(config.effective)).not.toMatch(/undefined|correct horse|1234"/);
  });

  test("a relay's values are typed, and relative paths start at the file's folder", () => {
    const config = loadRelayConfig({ file: join(fixtures, "valid/relay-full.yaml") });
    expect(config).toMatchObject({
      identity: { keyFile: join(fixtures, "valid/keys/relay.key") },
      listen: [
        { host: "127.0.0.1", port: 30_380 },
        { host: "::1", port: 30_380 },
      ],
      peers: [
        { name: "lan-box", role: "server" },
        { name: "laptop", role: "client" },
      ],
      control: { socket: "/run/culvert/relay.sock" },
      quic: {
        policy: { engine: "quinn", datagramBytes: 1400, allowQuicheListener: true },
        settings: { keepAlive: 1500, streamWindowBytes: 2 ** 20, retryAboveHalfOpen: 0 },
      },
      limits: { sessions: 5, tipDeadline: 1000 },
      drain: 0,
      log: { level: "debug", format: "json" },
    });
    expect(config.admin.listen).toBeUndefined();
    expect(config.grants[0]!.services).toEqual(["ssh", "5900", "8000-8100", "192.168.1.9:80", "*"]);
  });

  test("what a file leaves out has its default", () => {
    const file = join(fixtures, "valid/relay-minimal.json");
    const config = loadRelayConfig({ file });
    expect(config).toMatchObject({
      listen: [
        { host: "0.0.0.0", port: 30_380 },
        { host: "::", port: 30_380 },
      ],
      admin: { listen: { host: "127.0.0.1", port: 30_390 } },
      control: { socket: join(fixtures, "valid/relay-minimal.sock") },
      quic: { policy: { engine: "auto", allowQuicheListener: false } },
      limits: { sessions: 10_000, connectTimeout: 15_000 },
      drain: 30_000,
    });
    expect(config.quic.policy.datagramBytes).toBeUndefined();
  });

  test("a server's services and rules are parsed", () => {
    const config = loadServerConfig({ file: join(fixtures, "valid/server-full.yaml") });
    expect([...config.services]).toEqual([
      ["ssh", { kind: "tcp", host: "127.0.0.1", port: 22 }],
      ["app.socket", { kind: "unix", path: "/run/app.sock" }],
    ]);
    expect(config.allow).toMatchObject([
      { host: "127.0.0.1", ports: [{ first: 5900, last: 5900 }] },
      {
        host: "192.168.1.0",
        prefixBits: 24,
        ports: [
          { first: 80, last: 80 },
          { first: 443, last: 443 },
          { first: 8000, last: 8100 },
        ],
      },
      { host: "fd00::", prefixBits: 64, ports: [{ first: 22, last: 22 }] },
      { host: "printer.lan", ports: [{ first: 1, last: 65_535 }] },
    ]);
    expect(config.reconnect).toEqual({ first: 50, cap: 5000, moveDrain: 86_400_000 });
  });

  test("a client's forwards may be mappings or texts", () => {
    const config = loadClientConfig({ file: join(fixtures, "valid/client-full.yaml") });
    expect(config.forwards).toEqual([
      { listen: { host: "127.0.0.1", port: 30_381 }, to: { server: "lan-box", target: "30382" } },
      { listen: { host: "localhost", port: 2222 }, to: { server: "lan-box", target: "ssh" } },
      {
        listen: { host: "::1", port: 8080 },
        to: { server: "lan-box", target: "192.168.1.9:80" },
      },
    ]);
    expect(config.httpProxy).toEqual({
      listen: { host: "127.0.0.1", port: 3128 },
      users: new Map(),
    });
  });

  test("what a relay shows the internet is parsed, and its names are lower case", () => {
    const config = loadRelayConfig({ file: join(fixtures, "valid/relay-public.yaml") });
    expect(config).toMatchObject({
      listen: [],
      wss: { streamWindowBytes: 2 ** 18, sessionWindowBytes: 2 ** 23, keepAlive: 1000 },
      web: {
        https: [
          { host: "0.0.0.0", port: 443 },
          { host: "::", port: 443 },
        ],
        certificates: [{ certFile: join(fixtures, "valid/tls/cert.pem") }],
        acme: { email: "admin@example.com", stateDir: join(fixtures, "valid/acme-state") },
        maxHandshakes: 64,
      },
      public: {
        names: [
          { names: ["app.example.com", "*.box.example.com"], tls: "pass", http: "forward" },
          { server: "other-box" },
          { names: ["plain.example.com"], tls: "end", http: "redirect" },
        ],
        ports: [
          { server: "lan-box", listen: { host: "0.0.0.0", port: 2222 } },
          { server: "lan-box", listen: { host: "0.0.0.0", port: 2223 } },
        ],
      },
      telebit: {
        secretFile: join(fixtures, "valid/telebit.secret"),
        ports: [
          { first: 20_000, last: 20_999 },
          { first: 22_022, last: 22_022 },
        ],
      },
    });
    const bare = loadRelayConfig({ file: join(fixtures, "valid/relay-minimal.json") });
    expect(bare.web).toMatchObject({ https: [], http: [], plain: [], acme: undefined });
    expect(bare.telebit).toBeUndefined();
    expect(config.effective["public"]).toMatchObject({
      ports: [{ listen: "0.0.0.0:2222" }, { server: "lan-box", listen: "0.0.0.0:2223" }],
    });
  });

  test("a server exposes names and ports, and has a Telebit relay besides its own or alone", () => {
    const config = loadServerConfig({ file: join(fixtures, "valid/server-public.yaml") });
    expect(config.transports).toEqual(["wss"]);
    expect(config.relay).toMatchObject({
      wss: { host: "relay.example.org", port: 8443 },
      behindProxy: true,
      caFile: join(fixtures, "valid/tls/ca.pem"),
      proxy: { kind: "http", address: { host: "proxy.lan", port: 3128 } },
    });
    expect(config.expose).toMatchObject([
      { name: "app.example.com", to: { host: "127.0.0.1", port: 3000 }, tls: "relay" },
      { tls: "pass", proxyProtocol: "v2", forwardedFor: false },
      { tls: "local", to: { host: "::1" }, keyFile: join(fixtures, "valid/tls/k.pem") },
      { port: 2222, to: { kind: "service", name: "ssh" }, forwardedFor: true },
    ]);
    expect(config.telebit).toMatchObject({
      relay: { protocol: "https", address: { host: "telebit.example.com", port: 443 } },
      ssh: { kind: "service", name: "ssh" },
    });
    expect(config.reconnect.moveDrain).toBe(3_600_000);
    const { proxy } = config.relay!;
    expect(proxy.kind === "http" && proxy.credentials?.reveal()).toBe("user:hunter2");
    expect(inspect(config, { depth: 9 }) + JSON.stringify(config)).not.toContain("hunter2");

    const alone = loadServerConfig({ file: join(fixtures, "valid/server-telebit.yaml") });
    expect(alone).toMatchObject({ relay: undefined, transports: [] });
    expect(alone.telebit?.relay.address).toEqual({ host: "2001:db8::7", port: 8443 });
  });

  test("a link's command is split as a shell would, or is a list already", () => {
    const config = loadRelayConfig({ file: join(fixtures, "valid/relay-links.yaml") });
    const agent = ["culvert", "agent", "--stdio"];
    expect(config.links).toEqual([
      {
        name: "lan-box",
        command: [
          ...["ssh", "-o", "ServerAliveInterval 5", "box", "--", ...agent],
          ...["--config", "my files/server.yaml"],
        ],
      },
      { name: "laptop", command: ["docker", "exec", "-i", "laptop", ...agent] },
    ]);
    expect(config.listen).toEqual([]);
  });

  test("who is at the end of a link need not know where its relay is, but which", () => {
    const server = loadServerConfig({ file: join(fixtures, "valid/server-norouter.yaml") });
    const client = loadClientConfig({ file: join(fixtures, "valid/client-norouter.yaml") });
    for (const { transports, relay } of [server, client]) {
      expect(transports).toEqual(["norouter"]);
      expect([relay?.address, relay?.wss]).toEqual([undefined, undefined]);
      expect(relay?.id).toMatch(/^12D3/);
    }
  });

  test("the relay takes WebSocket on port 443 of its host unless the file says where", () => {
    const config = loadClientConfig({
      file: join(fixtures, "valid/client-with-empty-sections.yaml"),
    });
    expect(config.transports).toEqual(["quic", "wss"]);
    expect(config.relay).toMatchObject({
      wss: { host: "127.0.0.1", port: 443 },
      behindProxy: false,
      proxy: { kind: "environment" },
    });
  });

  test("passwords show nowhere but where they are asked for", () => {
    const config = loadClientConfig({ file: join(fixtures, "valid/client-full.yaml") });
    const users = config.socks!.users;
    expect([...users.values()].map((secret) => secret.reveal())).toEqual(["correct horse", "1234"]);
    const shown = [
      inspect(config, { depth: 9 }),
      JSON.stringify(config),
      JSON.stringify([...users]),
      String(users.get("alice")),
    ];
    for (const text of shown) expect(text).not.toMatch(/correct horse|1234/);
    expect(config.effective["socks"]).toEqual({
      listen: "127.0.0.1:1080",
      users: { alice: "[redacted]", bob: "[redacted]" },
    });
  });
});

describe("unsound configurations", () => {
  test.each(files("invalid"))("%s tells all that is wrong, and nothing else", (name) => {
    const file = join(fixtures, "invalid", name);
    const expected = [...readFileSync(file, "utf8").matchAll(/^# expect: (.*)$/gm)].map(
      (match) => match[1]!,
    );
    expect(expected.length).toBeGreaterThan(0);
    const error = problemsOf(() => loadConfig(roleOf(name), { file }));
    for (const text of expected) expect(error.message).toContain(text);
    expect(error.message).not.toContain("hunter2");
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
    const problems = error.data["problems"] as unknown[] | undefined;
    const lines = expected.filter((text) => !text.startsWith("found "));
    expect(problems?.length ?? 1).toBe(lines.length);
  });

  test("a file that is not there, not a file or too large is named", () => {
    expect(() => loadRelayConfig({ file: "/nowhere/relay.yaml" })).toThrow(
      "cannot read the configuration /nowhere/relay.yaml: there is no such file",
    );
    expect(() => loadRelayConfig({ file: fixtures })).toThrow(`cannot read the configuration`);
    expect(() => loadRelayConfig({ file: "/dev/zero" })).toThrow(/is not a regular file/);
  });
});

test("nesting beyond reason, and JSON with tabs, are no trouble", () => {
  const folder = mkdtempSync(join(tmpdir(), "culvert-config-"));
  const file = join(folder, "relay.yaml");
  try {
    writeFileSync(file, `listen: ${"[".repeat(60_000)}`);
    expect(() => loadRelayConfig({ file })).toThrow(/has 3 problems:\n {2}line 1, column/);
    writeFileSync(file, '{\n\t"identity":\t{ "keyFile": "k" }\n}');
    expect(loadRelayConfig({ file }).identity.keyFile).toBe(join(folder, "k"));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("the role of a file is said in it or follows from its keys", () => {
  for (const name of files("valid")) {
    expect(detectRole(join(fixtures, "valid", name))).toBe(roleOf(name));
  }
  expect(() => detectRole(join(fixtures, "invalid/relay-listens-twice.yaml"))).not.toThrow();
  expect(() => detectRole(join(fixtures, "invalid/relay-quic.yaml"))).toThrow(
    "cannot tell which daemon this is for; add the key role",
  );
});

function problemsOf(action: () => unknown): ConfigError {
  try {
    action();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("nothing was wrong");
}
