import { bulkLoad } from "./bulk.ts";
import { connectLoad } from "./connect.ts";
import { echoLoad, echoUnderBulkLoad } from "./echo.ts";
import { idleLoad } from "./idle.ts";
import type { Load } from "./load.ts";
import { openConnectionsLoad } from "./open-connections.ts";
import { relayRestartLoad } from "./relay-restart.ts";

/** All loads, in the order in which they run: those that leave most behind come last. */
export const loads: readonly Load[] = [
  bulkLoad(1, "up"),
  bulkLoad(1, "down"),
  bulkLoad(16, "up"),
  bulkLoad(16, "down"),
  connectLoad,
  echoLoad,
  echoUnderBulkLoad,
  idleLoad,
  openConnectionsLoad,
  relayRestartLoad,
];
