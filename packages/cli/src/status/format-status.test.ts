import type { ClientStatus } from "@culvert/client-proxy";
import type { EndServerStatus } from "@culvert/end-server-proxy";
import type { RelayStatus } from "@culvert/relay";
import { expect, test } from "vitest";
import { formatStatus } from "./format-status.ts";

const daemon = {
  pid: 7,
  software: "culvert/1.0.0",
  peerId: "12D3KooWx",
  uptimeMs: 61_000,
  notReady: [],
};
const session = {
  remote: "192.0.2.7:4000",
  transport: "quic/quinn",
  ageMs: 5_000,
  rttMs: 12,
  sentBytes: 1,
  receivedBytes: 2,
  openStreams: 3,
};

const attached = { transient: false, software: "s" };

test("a relay's peers and connections, with all four identifiers, bytes and age", () => {
  const status: RelayStatus = {
    role: "relay",
    draining: true,
    listen: ["udp 127.0.0.1:30380"],
    peers: [
      {
        name: "lan-box",
        id: "12D3KooWy",
        role: "server",
        sessions: [
          { ...session, ...attached, leaving: false, services: ["ssh", "vnc"] },
          { ...session, ...attached, leaving: true, services: [], transport: "mproxy/websocket" },
        ],
      },
      { name: "laptop", id: "12D3KooWz", role: "client", sessions: [] },
    ],
    connections: [
      {
        trace: "ab",
        client: "laptop",
        clientPort: 50_123,
        server: "lan-box",
        target: "ssh",
        bytesUp: 2_048,
        bytesDown: 3 * 2 ** 20,
        ageMs: 90_000,
      },
    ],
    devices: [
      {
        remote: "192.0.2.9:41000",
        names: ["a.example.com", "b.example.com"],
        ports: [20_000],
        connections: 3,
        ageMs: 5_000,
        sentBytes: 2_048,
        receivedBytes: 4_096,
      },
    ],
    public: {
      listen: ["https 0.0.0.0:443"],
      sites: [
        {
          ...{ site: "app.example.com", servers: ["lan-box", "lan-box"], connections: 2 },
          ...{ tls: "end", http: "redirect" },
        },
        { site: "port 0.0.0.0:2222", servers: [], connections: 0 },
      ],
      siteCount: 61,
      connections: Array.from({ length: 52 }, (_, index) => ({
        ...{ remote: `203.0.113.7:${50_000 + index}`, port: 443, name: "app.example.com" },
        ...{ server: "lan-box", tls: "ended" as const, requests: 3 },
        ...{ bytesUp: 1_024, bytesDown: 2_048, ageMs: 5_000 },
      })),
      connectionCount: 53,
    },
    bytes: { clientToServer: 1, serverToClient: 2 },
  };
  const text = formatStatus({ ...status, process: daemon });
  expect(text).toMatch(/app\.example\.com {3}│ lan-box {6}│ end │ redirect {3}│ 2 /);
  expect(text).toMatch(/port 0\.0\.0\.0:2222 │ not attached │ /);
  expect(text).toContain("and 59 more");
  expect(text).toContain("Public connections: 53");
  // The newest stand in the table, the others are counted.
  expect(text).not.toContain("203.0.113.7:50001 ");
  expect(text).toMatch(
    /203\.0\.113\.7:50051 │ 443 {2}│ app\.example\.com │ lan-box │ ended │ 3 {8}│ 1 KiB │ 2 KiB │ 5s/,
  );
  expect(text).toContain("and 2 more");
  expect(text).toMatch(/^relay, culvert\/1\.0\.0, process 7, up 1\.02m, draining\n/);
  expect(text).toContain("listens on udp 127.0.0.1:30380");
  expect(text).toMatch(
    /192\.0\.2\.9:41000 +│ a\.example\.com, b\.example\.com +│ 20000 +│ 3 +│ 4 KiB +│ 2 KiB +│ 5s/,
  );
  expect(text).toMatch(
    /lan-box │ server │ 192\.0\.2\.7:4000 │ quic\/quinn {16}│ ssh, vnc │ 12ms │ 5s/,
  );
  expect(text).toMatch(/lan-box │ server │ 192\.0\.2\.7:4000 │ mproxy\/websocket, leaving │/);
  expect(text).toMatch(/laptop {2}│ client │ not attached/);
  expect(text).toMatch(/laptop │ 50123 │ lan-box │ ssh {4}│ 2 KiB │ 3 MiB │ 1\.5m/);
});

test("a server and a client fill in themselves, and tell why they cannot serve", () => {
  const connection = {
    trace: "ab",
    clientPort: 50_123,
    target: "ssh",
    bytesUp: 0,
    bytesDown: 0,
    ageMs: 1,
  };
  const server: EndServerStatus = {
    role: "server",
    link: {
      state: "attached",
      session: { ...session, name: "lan-box", relaySoftware: "r" },
      leaving: [{ transport: "mproxy/websocket", openStreams: 2 }],
    },
    exposes: [],
    allows: ["ssh -> 127.0.0.1:22"],
    connections: [{ ...connection, client: "laptop", clientId: "12D3KooWz" }],
  };
  const atServer = formatStatus({ ...server, name: "lan-box", process: daemon });
  expect(atServer).toMatch(/laptop │ 50123 │ lan-box │ ssh/);
  expect(atServer).toContain("relay: attached as lan-box at 192.0.2.7:4000 by quic/quinn for 5s");

  expect(atServer).toContain("relay: left mproxy/websocket, open there: 2");

  const client: ClientStatus = {
    role: "client",
    link: { state: "connecting", lastError: "no answer" },
    entrances: [
      {
        kind: "port",
        addresses: ["127.0.0.1:1"],
        destination: "lan-box:ssh",
        open: 1,
        accepted: 4,
        forwarded: 2,
        refused: 1,
        lastRefusal: { atMs: 0, text: "no grant" },
      },
    ],
    connections: [{ ...connection, entrance: "tcp 127.0.0.1:1", server: "lan-box" }],
  };
  const notReady = ["not attached to the relay: no answer"];
  const atClient = formatStatus({ ...client, name: "laptop", process: { ...daemon, notReady } });
  expect(atClient).toContain("relay: connecting (no answer)");
  expect(atClient).toContain("cannot serve: not attached to the relay: no answer");
  expect(atClient).toMatch(/laptop │ 50123 │ lan-box │ ssh/);
  expect(atClient).toContain("1970-01-01T00:00:00Z no grant");
});

test("nothing that a peer said moves the cursor, and no answer is too odd to print", () => {
  const peers = [{ name: "a", role: "client", sessions: [{ services: ["\u001b[2J", "x\r\ny"] }] }];
  const text = formatStatus({ role: "relay", peers });
  // eslint-disable-next-line no-control-regex -- control characters are what must not pass
  expect(text).not.toMatch(/[\u001b\r]/);
  expect(text).toContain("?[2J");
  for (const odd of [undefined, 1, "x", [], { peers: 1, connections: [1, null], link: 3 }]) {
    expect(typeof formatStatus(odd)).toBe("string");
  }
});
