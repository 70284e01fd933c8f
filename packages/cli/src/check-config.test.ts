import { appendFileSync, chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadClientConfig } from "@culvert/config";
import { afterEach, beforeEach, expect, test } from "vitest";
import { checkConfig } from "./check-config.ts";
import { initTrial } from "./trial/init-trial.ts";

let folder = "";
const env: Record<string, string> = {};

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "culvert-check-"));
  await initTrial(folder, {
    relayPort: 1,
    listenPort: 2,
    targetPort: 3,
    serverName: "lan-box",
    clientName: "laptop",
    transports: ["quic", "wss"],
  });
});

afterEach(() => rmSync(folder, { recursive: true }));

async function check(file: string, json = false): Promise<{ out: string; err: string }> {
  let out = "";
  let err = "";
  await checkConfig(file, json, {
    env,
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
  });
  return { out, err };
}

test("what check prints is itself a configuration, and the same one", async () => {
  const file = join(folder, "client.yaml");
  const { out, err } = await check(file);
  expect(err).toBe("");
  expect(out).toContain("is a sound configuration of a client");
  expect(out).toMatch(/# Worst-case buffer memory: .* GiB/);
  const printed = join(folder, "printed.yaml");
  writeFileSync(printed, out);
  expect(loadClientConfig({ file: printed }).effective).toEqual(
    loadClientConfig({ file }).effective,
  );
});

test("passwords are not shown, and warnings go to standard error", async () => {
  const file = join(folder, "client.yaml");
  appendFileSync(file, "socks: { listen: '0.0.0.0:1080' }\nhttpProxy: { users: { a: hunter2 } }\n");
  for (const json of [false, true]) {
    const { out } = await check(file, json);
    expect(out).not.toContain("hunter2");
    expect(out).toContain("[redacted]");
  }
  expect((await check(file)).err).toMatch(
    /^warning: socks: whoever reaches 0.0.0.0:1080 may use it/,
  );
});

test("an engine that would be refused at start is refused here", async () => {
  const file = join(folder, "relay.yaml");
  appendFileSync(file, "quic: { engine: quiche }\n");
  expect((await check(file)).out).toContain("engine: quiche");
  env["CULVERT_LISTEN"] = "0.0.0.0:30380";
  await expect(check(file)).rejects.toMatchObject({ code: "refused_engine" });
  delete env["CULVERT_LISTEN"];
});

test("a key file that others may read, or that is not there, is refused", async () => {
  chmodSync(join(folder, "relay.key"), 0o644);
  await expect(check(join(folder, "relay.yaml"))).rejects.toMatchObject({
    code: "key_file_permissions",
  });
  rmSync(join(folder, "server.key"));
  await expect(check(join(folder, "server.yaml"))).rejects.toMatchObject({
    code: "unreadable_file",
  });
});
