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
  const [received, sent, connections, sockets, strangers, handshakes] = items;
  // Two peers, none of them with one-shot sessions, and a window of 4 MiB each way.
  expect(received).toMatchObject({ bytes: 2 * 4 * 2 ** 20 });
  expect(sent).toMatchObject({ bytes: 2 * 4 * 2 ** 20 });
  expect(connections).toMatchObject({ bytes: 7 * (16 + 256) * 1024 });
  expect(sockets).toMatchObject({ bytes: 2 * 2 * 2 ** 20 });
  expect(strangers).toMatchObject({ bytes: 256 * 4 * 2 ** 20 });
  expect(handshakes).toMatchObject({ bytes: 10 * 128 * 1024 });
  expect(items).toHaveLength(6);
  expect(totalBytes).toBe(items.reduce((sum, { bytes }) => sum + bytes, 0));
  expect(received!.because).toBe("2 sessions of 2 peers x 4 MiB (quic.connectionWindow)");
});

test("a link has no window of a session: its streams add up", () => {
  const config = loadRelayConfig({ file: join(valid, "relay-links.yaml") });
  const [received, sent] = worstCaseMemory(config).items;
  const streams = 2 * config.limits.connectionsPerClient;
  expect(received).toMatchObject({ bytes: streams * 4 * 2 ** 20 });
  expect(sent).toMatchObject({ bytes: streams * 2 * 2 ** 20 });
  expect(received!.because).toContain("a link has no window of a session");
});

test("quiche has no window of a session: its streams add up, on both hops and for strangers", () => {
  const flags = [{ path: "quic.engine", name: "x", value: "quiche" }];
  const file = join(valid, "relay-full.yaml");
  const [received, , , , strangers] = worstCaseMemory(loadRelayConfig({ file, flags })).items;
  // Seven connections of the only client; a stream's window grows to a quarter of 4 MiB.
  expect(received).toMatchObject({
    bytes: 2 * 7 * 2 ** 20,
    because: expect.stringMatching(
      /^2 hops x 1 client x 7 \(limits\.connectionsPerClient\) x 1 MiB/,
    ) as string,
  });
  // They might send far more by their windows, but not within their second.
  expect(strangers).toMatchObject({ bytes: 1_250_000_000 });
});

test("sessions by WebSocket count, those that a move left behind too, and so does the public entrance", () => {
  const flags = [
    { path: "web.https", name: "x", value: "127.0.0.1:443" },
    { path: "wss.sessionWindow", name: "y", value: "8MiB" },
    { path: "limits.sessions", name: "z", value: "100" },
    { path: "limits.publicConnections", name: "p", value: "9" },
  ];
  const file = join(valid, "relay-full.yaml");
  const { items } = worstCaseMemory(loadRelayConfig({ file, flags }));
  expect(items[0]).toMatchObject({
    bytes: 6 * 8 * 2 ** 20,
    because: "6 sessions of 2 peers, 4 of them left behind by moves x 8 MiB (wss.sessionWindow)",
  });
  expect(items.map(({ what }) => what)).toEqual(
    expect.arrayContaining([
      "TLS and WebSocket handshakes under way",
      "buffers of public connections",
    ]),
  );
  const client = loadClientConfig({ file: join(valid, "client-full.yaml") });
  expect(worstCaseMemory(client).items[0]).toMatchObject({
    because: "3 sessions, 2 of them left behind by moves x 64 MiB (quic.connectionWindow)",
  });
  const alone = [{ path: "transports", name: "t", value: "wss" }];
  const byWebSocket = loadClientConfig({ file: join(valid, "client-full.yaml"), flags: alone });
  expect(worstCaseMemory(byWebSocket).items.map(({ what }) => what)).toEqual([
    "received from peers and not yet passed on",
    "sent to peers and not yet acknowledged",
    "buffers of open connections",
  ]);
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

test("a server may have one-shot sessions too, for culvert expose", () => {
  const file = join(valid, "relay-full.yaml");
  const flags = [
    { path: "limits.transientSessionsPerPeer", name: "x", value: "3" },
    { path: "limits.sessions", name: "y", value: "50" },
  ];
  const [received] = worstCaseMemory(loadRelayConfig({ file, flags })).items;
  // A client and a server, each with its standing session and three more.
  expect(received!.because).toContain("8 sessions of 2 peers x");
  // By moving, the standing one of each leaves two behind, and the one-shot ones together as many.
  const web = { path: "web.https", name: "z", value: "127.0.0.1:443" };
  const [byBoth] = worstCaseMemory(loadRelayConfig({ file, flags: [...flags, web] })).items;
  expect(byBoth!.because).toContain("16 sessions of 2 peers, 8 of them left behind by moves x");
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

test("a relay's warnings: more connections than quinn carries, sessions in clear, certificates that nobody trusts", () => {
  const load = (file: string, flags: readonly [string, string][]) =>
    configWarnings(
      loadRelayConfig({
        file: join(valid, file),
        flags: flags.map(([path, value]) => ({ path, name: path, value })),
      }),
    );
  expect(load("relay-full.yaml", [])).toEqual([]);
  const tooMany: [string, string] = ["limits.connectionsPerClient", "5000"];
  expect(load("relay-full.yaml", [["quic.maxStreams", "9000"], tooMany])).toEqual([
    "limits.connectionsPerClient: 5000, but a session by quinn carries 4096 connections at a time; what is above waits or fails without naming this limit",
  ]);
  expect(load("relay-full.yaml", [["quic.engine", "quiche"], tooMany])).toEqual([]);
  expect(load("relay-public.yaml", [])).toEqual([]);
  const names = JSON.stringify([{ server: "lan-box", names: ["app.example.com"] }]);
  expect(
    load("relay-full.yaml", [
      ["web.https", "127.0.0.1:443"],
      ["web.plain", "127.0.0.1:1 0.0.0.0:8080"],
      ["public.names", names],
    ]),
  ).toEqual([
    "web.plain: sessions at 0.0.0.0:8080 are not encrypted; let only the proxy that ends TLS reach it",
    "public.names: TLS is ended here, and there is no certificate that browsers trust; set web.certificates or web.acme",
  ]);
});
