import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadClientConfig } from "@culvert/config";
import { generateIdentity } from "@culvert/identity";
import { systemClock, systemRandom } from "@culvert/runtime";
import { createRegistry, silentLog } from "@culvert/telemetry";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ownRelay } from "./own-relay.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "culvert-own-relay-"));
});
afterEach(() => rm(folder, { recursive: true }));

test("a link that leads to the client itself is refused, and another is not", async () => {
  const identity = generateIdentity();
  const file = join(folder, "client.yaml");
  const context = {
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    registry: createRegistry(),
    identity,
  };
  const made = async (id: string): Promise<unknown> => {
    await writeFile(
      file,
      `role: client\nname: laptop\nidentity: { keyFile: client.key }\nlinks: [{ name: box, id: ${id}, command: "cat" }]\n`,
    );
    return ownRelay(loadClientConfig({ file, env: {} }), context);
  };
  await expect(made(identity.peerId)).rejects.toThrow(/links\[0\]\.id: .* is this client's own/);
  expect(await made(generateIdentity().peerId)).toHaveProperty("session");
});
