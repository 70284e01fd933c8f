import { millis, systemClock, systemRandom } from "@culvert/runtime";
import { generateIdentity } from "@culvert/identity";
import { memoryCarrierPair, type MemoryCarrier, type SessionPair } from "@culvert/testkit";
import type { Carrier } from "../mproxy/carrier.ts";
import type { WssSettings } from "../mproxy/wss-settings.ts";
import { acceptNorouter, dialNorouter } from "./open-norouter.ts";

/** The end that starts the other. */
export const relayIdentity = generateIdentity();
/** The end that is started. */
export const boxIdentity = generateIdentity();

export const testDeps = { clock: systemClock, random: systemRandom };

export const testSettings: WssSettings = {
  streamWindowBytes: 256 * 1024,
  sessionWindowBytes: 4 * 1024 * 1024,
  maxStreams: 100,
  keepAlive: millis(1_000),
  idleTimeout: millis(8_000),
  handshakeTimeout: millis(5_000),
};

/** Both ends of a session over two carriers; `client` is the end that is started. */
export async function pairOver(
  near: Carrier,
  far: Carrier,
  settings: WssSettings = testSettings,
): Promise<Omit<SessionPair, "release">> {
  const [client, server] = await Promise.all([
    dialNorouter(testDeps, {
      carrier: near,
      identity: boxIdentity,
      relayId: relayIdentity.peerId,
      settings,
    }),
    acceptNorouter(testDeps, {
      carrier: far,
      identity: relayIdentity,
      expected: boxIdentity.peerId,
      settings,
    }),
  ]);
  return { client, server, clientId: boxIdentity.peerId, serverId: relayIdentity.peerId };
}

/** The same in memory, and what carries it. */
export async function memoryPair(
  settings: WssSettings = testSettings,
): Promise<SessionPair & { readonly carriers: readonly [MemoryCarrier, MemoryCarrier] }> {
  const carriers = memoryCarrierPair();
  const pair = await pairOver(carriers[0], carriers[1], settings);
  const release = (): void => {
    for (const session of [pair.client, pair.server]) {
      session.close({ by: "us", code: "shutdown", text: "the test is over" });
    }
  };
  return { ...pair, carriers, release };
}
