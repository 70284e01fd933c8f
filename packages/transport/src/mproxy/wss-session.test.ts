import { generateIdentity } from "@culvert/identity";
import { millis, systemClock, systemRandom } from "@culvert/runtime";
import { sessionCompliance } from "@culvert/testkit";
import { listenWss } from "./wss-listen.ts";
import { wssDialer } from "./wss-dialer.ts";
import type { WssSettings } from "./wss-settings.ts";

const settings: WssSettings = {
  streamWindowBytes: 256 * 1024,
  sessionWindowBytes: 16 * 1024 * 1024,
  maxStreams: 1_000,
  keepAlive: millis(1_000),
  idleTimeout: millis(8_000),
  handshakeTimeout: millis(5_000),
};

sessionCompliance({
  name: "sessions by WebSocket over TLS",
  // The window, and the buffers of two Node streams.
  heldBytes: settings.streamWindowBytes + 128 * 1024,
  async connect() {
    const [server, client] = [generateIdentity(), generateIdentity()];
    const deps = { clock: systemClock, random: systemRandom };
    const listener = await listenWss(deps, {
      address: { host: "127.0.0.1", port: 0 },
      identity: server,
      settings,
      certificate: "identity",
    });
    const dial = wssDialer(
      { ...deps, lookUp: () => Promise.reject(new Error("no names here")) },
      {
        relay: listener.address,
        relayId: server.peerId,
        identity: client,
        settings,
        behindProxy: false,
      },
    );
    const dialled = await dial(new AbortController().signal);
    const accepted = await listener.sessions[Symbol.asyncIterator]().next();
    if (accepted.done === true) throw new Error("the listener ended");
    return {
      client: dialled,
      server: accepted.value,
      clientId: client.peerId,
      serverId: server.peerId,
      release: () => listener.close(),
    };
  },
});
