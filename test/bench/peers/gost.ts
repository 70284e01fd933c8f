import { randomBytes } from "node:crypto";
import { lanes, threeProcesses, type Peer } from "./peer.ts";

/** gost: its relay protocol over QUIC or TLS, a remote port from the server's side and a local one from the client's. */
export function gostPeer(transport: "quic" | "tls"): Peer {
  return {
    name: `gost-${transport}`,
    title: `gost (${transport})`,
    programs: ["gost"],
    start(context) {
      const { crew, place, relayPort, relayLanes, targets, entrances } = context;
      const gost = context.program("gost");
      const login = `bench:${randomBytes(12).toString("hex")}`;
      const url = `relay+${transport}://${login}@${place.relayAddress}:${relayPort}`;
      const quiet = { env: { GOST_LOGGER_LEVEL: "warn" } };
      const dial = (listeners: readonly string[]) =>
        crew.start(
          place.edgePrefix,
          gost,
          [...listeners.flatMap((each) => ["-L", each]), "-F", url],
          quiet,
        );
      return Promise.resolve(
        threeProcesses(context, {
          relay: () => crew.start(place.relayPrefix, gost, ["-L", `${url}?bind=true`], quiet),
          server: () =>
            dial(
              lanes.map(
                (lane) => `rtcp://127.0.0.1:${relayLanes[lane]}/127.0.0.1:${targets[lane]}`,
              ),
            ),
          client: () =>
            dial(
              lanes.map(
                (lane) => `tcp://127.0.0.1:${entrances[lane]}/127.0.0.1:${relayLanes[lane]}`,
              ),
            ),
        }),
      );
    },
  };
}
