import { configDefaults, describeKeys, type Role } from "@culvert/config";
import { endServerDefaults } from "@culvert/end-server-proxy";
import { relayLimitDefaults } from "@culvert/relay";
import { formatMillis } from "@culvert/runtime";
import { reconnectDefaults } from "@culvert/transport";
import { Command } from "commander";
import { expect, test } from "vitest";
import {
  addConfigOption,
  addFlags,
  clientFlags,
  commonFlags,
  dialingFlags,
  flagsGiven,
  relayFlags,
  type FlagOption,
  type OptionValues,
} from "./flag-options.ts";

const flagsOf: Readonly<Record<Role, readonly FlagOption[]>> = {
  relay: [...relayFlags, ...commonFlags],
  server: [...dialingFlags, ...commonFlags],
  client: [...clientFlags, ...dialingFlags, ...commonFlags],
};

test.each(["relay", "server", "client"] as const)(
  "every option of a %s sets a key that it has",
  (role) => {
    const keys = describeKeys(role).map(({ path }) => path);
    for (const { path } of flagsOf[role]) expect(keys).toContain(path);
  },
);

test("options reach the configuration as flags", () => {
  let given: unknown;
  const command = addFlags(addConfigOption(new Command("client")), flagsOf.client).action(
    (options: OptionValues) => void (given = flagsGiven(flagsOf.client, options)),
  );
  const argv = "--forward 127.0.0.1:1=s:1 --forward 127.0.0.1:2=s:2 --socks off --drain 1s -c f";
  command.parse(argv.split(" "), { from: "user" });
  expect(given).toEqual([
    {
      path: "forwards",
      name: "--forward",
      value: ["127.0.0.1:1=s:1", "127.0.0.1:2=s:2"],
      adds: true,
    },
    { path: "socks.listen", name: "--socks", value: "off" },
    { path: "drain", name: "--drain", value: "1s" },
  ]);
});

test("the defaults of the configuration are those of the daemons", () => {
  expect(configDefaults).toMatchObject({
    sessions: String(relayLimitDefaults.sessions),
    transientSessionsPerPeer: String(relayLimitDefaults.transientSessionsPerPeer),
    connections: String(relayLimitDefaults.connectionsPerClient),
    tipDeadline: formatMillis(relayLimitDefaults.tipDeadline),
    relayConnectTimeout: formatMillis(relayLimitDefaults.connectTimeout),
    serverConnectTimeout: formatMillis(endServerDefaults.connectTimeout),
    reconnectFirst: formatMillis(reconnectDefaults.first),
    reconnectCap: formatMillis(reconnectDefaults.cap),
  });
  expect(relayLimitDefaults.connectionsPerServer).toBe(relayLimitDefaults.connectionsPerClient);
  expect(endServerDefaults.maxConnections).toBe(relayLimitDefaults.connectionsPerClient);
});
