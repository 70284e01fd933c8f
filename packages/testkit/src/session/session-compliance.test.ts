import { generateIdentity } from "@culvert/identity";
import { createMemoryNetwork } from "@culvert/quic";
import { systemClock } from "@culvert/runtime";
import { QuicSession } from "@culvert/transport";
import { complianceSettings } from "../engine/engine-harness.ts";
import { sessionCompliance } from "./session-compliance.ts";

sessionCompliance({
  name: "QuicSession over the memory engine",
  // The window of a stream, and the buffers of two Node streams.
  heldBytes: complianceSettings.streamWindowBytes + 64 * 1024,
  async connect() {
    const network = createMemoryNetwork({ clock: systemClock });
    const [server, client] = [generateIdentity(), generateIdentity()];
    const settings = complianceSettings;
    const address = { host: "127.0.0.1", port: 0 };
    const listener = await network.createEngine().listen({ address, identity: server, settings });
    const dialled = await network.createEngine().dial({
      address: listener.address,
      identity: client,
      expectedPeer: server.peerId,
      settings,
    });
    const accepted = await listener.connections[Symbol.asyncIterator]().next();
    if (accepted.done === true) throw new Error("the listener ended");
    return {
      client: new QuicSession(dialled),
      server: new QuicSession(accepted.value),
      clientId: client.peerId,
      serverId: server.peerId,
      release: () => listener.close(),
    };
  },
});
