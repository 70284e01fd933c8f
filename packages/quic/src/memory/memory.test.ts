import { generateIdentity } from "@culvert/identity";
import { systemClock } from "@culvert/runtime";
import { engineCompliance, spawnMemoryPeer } from "@culvert/testkit";
import { createMemoryNetwork } from "../index.ts";

const network = createMemoryNetwork({ clock: systemClock });

engineCompliance({
  name: "memory",
  setup: () => ({
    server: network.createEngine(),
    client: network.createEngine(),
    serverIdentity: generateIdentity(),
    clientIdentity: generateIdentity(),
    stranger: generateIdentity().peerId,
    spawnPeer: (options) => spawnMemoryPeer(network, options),
  }),
  // What waits in the buffers of the two Node streams.
  writerSlackBytes: 64 * 1024,
});
