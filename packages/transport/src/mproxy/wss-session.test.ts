import { sessionCompliance } from "@culvert/testkit";
import {
  boxIdentity,
  dialOnce,
  listenLocally,
  nextSession,
  relayIdentity,
  testSettings,
} from "./wss-pair.test-data.ts";

sessionCompliance({
  name: "sessions by WebSocket over TLS",
  // The window, and the buffers of two Node streams.
  heldBytes: testSettings.streamWindowBytes + 128 * 1024,
  async connect() {
    const listener = await listenLocally();
    const [client, server] = await Promise.all([
      dialOnce({ relay: listener.address }),
      nextSession(listener),
    ]);
    return {
      client,
      server,
      clientId: boxIdentity.peerId,
      serverId: relayIdentity.peerId,
      release: () => listener.close(),
    };
  },
});
