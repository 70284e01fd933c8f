import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog, StatusServer } from "@culvert/telemetry";
import { afterEach, beforeEach, expect, test } from "vitest";
import { showStatus } from "./show-status.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "culvert-status-"));
  await writeFile(
    join(folder, "relay.yaml"),
    "identity: { keyFile: relay.key }\nlisten: ['127.0.0.1:0']\npeers: []\ngrants: []\n",
  );
});
afterEach(() => rm(folder, { recursive: true }));

async function shown(service: string): Promise<unknown> {
  let text = "";
  const written = { write: (part: string) => (text += part) };
  const file = join(folder, "relay.yaml");
  await showStatus(file, true, { env: {}, stdout: written, stderr: written }, () => service);
  return JSON.parse(text);
}

async function answering(path: string, answer: string): Promise<StatusServer> {
  const server = new StatusServer({ log: silentLog, status: () => answer }, path);
  await server.listen();
  return server;
}

test("the daemon of a systemd unit is asked where none runs beside the configuration", async () => {
  const service = join(folder, "service.sock");
  await expect(shown(service)).rejects.toThrow(/nothing answers at .*relay\.sock$/);
  const unit = await answering(service, "unit");
  expect(await shown(service)).toBe("unit");
  const own = await answering(join(folder, "relay.sock"), "own");
  expect(await shown(service)).toBe("own");
  await unit.close();
  await own.close();
});
