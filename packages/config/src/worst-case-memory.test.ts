import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { configWarnings } from "./config-warnings.ts";
import { loadClientConfig } from "./client-config.ts";
import { loadRelayConfig } from "./relay-config.ts";
import { worstCaseMemory } from "./worst-case-memory.ts";

const valid = join(dirname(fileURLToPath(import.meta.url)), "fixtures/valid");

test("the worst case of a relay follows from its peers, windows and limits", () => {
  const { items, totalBytes } = worstCaseMemory(
    loadRelayConfig({ file: join(valid, "relay-full.yaml") }),
  );
  const [received, sent, connections, sockets, handshakes] = items;
  // Two peers, none of them with one-shot sessions, and a window of 4 MiB each way.
  expect(received).toMatchObject({ bytes: 2 * 4 * 2 ** 20 });
  expect(sent).toMatchObject({ bytes: 2 * 4 * 2 ** 20 });
  expect(connections).toMatchObject({ bytes: 7 * (16 + 256) * 1024 });
  expect(sockets).toMatchObject({ bytes: 2 * 2 * 2 ** 20 });
  expect(handshakes).toMatchObject({ bytes: 10 * 128 * 1024 });
  expect(totalBytes).toBe(items.reduce((sum, { bytes }) => sum + bytes, 0));
  expect(received!.because).toBe("2 sessions of 2 peers x 4 MiB (quic.connectionWindow)");
});

test("limits.sessions bounds the sessions of many peers", () => {
  const file = join(valid, "relay-full.yaml");
  const flags = [
    { path: "limits.transientSessionsPerPeer", name: "x", value: "100" },
    { path: "limits.sessions", name: "y", value: "50" },
  ];
  const [received] = worstCaseMemory(loadRelayConfig({ file, flags })).items;
  expect(received!.because).toContain("50 (limits.sessions)");
});

test("what is allowed but should be meant is warned of", () => {
  const file = join(valid, "client-full.yaml");
  const load = (flags: readonly [string, string][]) =>
    configWarnings(
      loadClientConfig({
        file,
        flags: flags.map(([path, value]) => ({ path, name: path, value })),
      }),
    );
  expect(load([])).toEqual([]);
  expect(
    load([
      ["httpProxy.listen", "0.0.0.0:3128"],
      ["admin.listen", "[::]:9"],
    ]),
  ).toEqual([
    "admin.listen: [::]:9 shows metrics to whoever reaches it, without a password",
    "httpProxy: whoever reaches 0.0.0.0:3128 may use it; set httpProxy.users or a loopback address",
  ]);
  expect(
    configWarnings(loadClientConfig({ file: join(valid, "client-with-empty-sections.yaml") })),
  ).toEqual(["forwards: there are none, nor socks or httpProxy, so nothing listens locally"]);
});
