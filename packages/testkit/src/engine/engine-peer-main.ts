import { generateIdentity } from "@culvert/identity";
import {
  createQuicheEngine,
  createQuinnEngine,
  type EngineDeps,
  type QuicConnection,
  type QuicEngine,
} from "@culvert/quic";
import { systemClock, systemRandom } from "@culvert/runtime";
import { echoStreams } from "./echo.ts";
import type { EnginePeerReady, EnginePeerTask } from "./engine-peer.ts";

const task = JSON.parse(process.argv[2] ?? "{}") as EnginePeerTask;
process.stdin.resume().once("end", () => process.exit(0));

const identity = generateIdentity();
const engine = createEngine();
if (task.role.kind === "listen") {
  const { address, connections } = await engine.listen({
    address: task.role.address,
    identity,
    settings: task.settings,
  });
  report({ peerId: identity.peerId, address });
  for await (const connection of connections) serve(connection);
} else {
  const { address, expectedPeer } = task.role;
  serve(await engine.dial({ address, expectedPeer, identity, settings: task.settings }));
  report({ peerId: identity.peerId });
}

function serve(connection: QuicConnection): void {
  void echoStreams(connection.streams);
}

function report(ready: EnginePeerReady): void {
  process.stdout.write(`${JSON.stringify(ready)}\n`);
}

function createEngine(): QuicEngine {
  const deps: EngineDeps = { clock: systemClock, random: systemRandom, warn: () => undefined };
  if (task.engine === "quiche") return createQuicheEngine(deps);
  if (task.engine === "quinn") return createQuinnEngine(deps);
  throw new Error(`the ${task.engine} engine does not reach beyond its process`);
}
