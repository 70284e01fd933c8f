import { generateIdentity } from "@culvert/identity";
import type { MemoryNetwork } from "@culvert/quic";
import { echoStreams } from "./echo.ts";
import type { EnginePeer, EnginePeerOptions } from "./engine-peer.ts";

/** A peer on a memory network: not a process, but it freezes, thaws and dies like one. */
export async function spawnMemoryPeer(
  network: MemoryNetwork,
  { role, settings }: EnginePeerOptions,
): Promise<EnginePeer> {
  const engine = network.createEngine();
  const identity = generateIdentity();
  const control = {
    peerId: identity.peerId,
    freeze: () => engine.freeze(),
    thaw: () => engine.thaw(),
    kill: () => engine.kill(),
    dispose: () => {
      engine.kill();
      return Promise.resolve();
    },
  };
  if (role.kind === "dial") {
    const { address, expectedPeer } = role;
    const connection = await engine.dial({ address, expectedPeer, identity, settings });
    void echoStreams(connection.streams);
    return { ...control, address: undefined };
  }
  const listener = await engine.listen({ address: role.address, identity, settings });
  void serveAll(listener.connections);
  return { ...control, address: listener.address };
}

async function serveAll(
  connections: AsyncIterable<{ readonly streams: Parameters<typeof echoStreams>[0] }>,
): Promise<void> {
  for await (const connection of connections) void echoStreams(connection.streams);
}
