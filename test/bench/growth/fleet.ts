/**
 * Many attached servers in one process, so that a hundred of them fit on a small machine: each has a key, a session and a link to
 * the relay like `culvert server`, and offers nothing. Reads a {@link FleetOrders} file named by the argument.
 */
import { readFileSync } from "node:fs";
import { lookup } from "node:dns/promises";
import { loadIdentityFile, parsePeerId, type Identity } from "@culvert/identity";
import { quicDefaults } from "@culvert/quic";
import { millis, systemClock, systemRandom } from "@culvert/runtime";
import { createEngines, quicDialer, RelayLink } from "@culvert/transport";
import { waitUntil } from "../../support/wait.ts";
import type { FleetOrders } from "./fleet-orders.ts";

const orders = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as FleetOrders;
const engines = createEngines({
  clock: systemClock,
  random: systemRandom,
  warn: ({ text }) => process.stderr.write(`${text}\n`),
});
let attached = 0;

for (const keyFile of orders.keyFiles) attach(await loadIdentityFile(keyFile)).start();
await waitUntil("all attached", () => attached === orders.keyFiles.length, { withinMs: 60_000 });
process.stdout.write(`ready fleet ${attached}\n`);
process.stdin.on("end", () => process.exit(0)).resume();

function attach(identity: Identity): RelayLink {
  return new RelayLink(
    {
      clock: systemClock,
      random: systemRandom,
      dial: quicDialer(
        { clock: systemClock, engines, lookUp: (host) => lookup(host, { all: true }) },
        {
          relay: orders.relay,
          relayId: parsePeerId(orders.relayId),
          identity,
          policy: { engine: orders.engine, datagramBytes: undefined, allowQuicheListener: true },
          settings: quicDefaults,
        },
      ),
      observer: {
        dialing: () => undefined,
        attached: () => (attached += 1),
        detached: () => (attached -= 1),
        retrying: (error) => process.stderr.write(`${error.message}\n`),
        refused: (_, text) => process.stderr.write(`refused: ${text}\n`),
        moved: () => undefined,
        notMoved: () => undefined,
        left: () => undefined,
      },
    },
    {
      attach: {
        kind: "attach",
        role: "server",
        services: [],
        instanceId: systemRandom.bytes(16),
        transient: false,
        software: "culvert-bench",
        capabilities: [],
      },
      retry: { first: millis(100), cap: millis(5_000), factor: 2 },
      dialTimeout: millis(10_000),
      tipDeadline: millis(5_000),
      moveDrain: millis(0),
    },
  );
}
