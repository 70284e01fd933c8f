import { randomBytes } from "node:crypto";
import { lanes, threeProcesses, type Peer } from "./peer.ts";

/** chisel: SSH channels inside one WebSocket; a reverse port from the server's side, a local one from the client's. */
export const chiselPeer: Peer = {
  name: "chisel",
  title: "chisel",
  programs: ["chisel"],
  async start(context) {
    const { crew, place, relayPort, relayLanes } = context;
    const { relayAddress, relayPrefix, edgePrefix } = place;
    const chisel = context.program("chisel");
    const auth = `bench:${randomBytes(12).toString("hex")}`;
    const url = `http://${relayAddress}:${relayPort}`;
    const dial = (remotes: readonly string[]) =>
      crew.start(edgePrefix, chisel, [
        ...["client", "--auth", auth, "--max-retry-interval", "1s", url],
        ...remotes,
      ]);
    const relay = () =>
      crew.start(relayPrefix, chisel, [
        ...["server", "--host", relayAddress, "--port", String(relayPort)],
        ...["--auth", auth, "--reverse"],
      ]);
    const running = threeProcesses(context, {
      relay,
      server: () =>
        dial(
          lanes.map((lane) => `R:127.0.0.1:${relayLanes[lane]}:127.0.0.1:${context.targets[lane]}`),
        ),
      client: () =>
        dial(
          lanes.map((lane) => `127.0.0.1:${context.entrances[lane]}:127.0.0.1:${relayLanes[lane]}`),
        ),
    });
    await context.listening({ host: relayAddress, port: relayPort });
    return running;
  },
};
