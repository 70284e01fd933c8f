import { sessionCompliance } from "@culvert/testkit";
import { tlsCarrierPair } from "./tls-carrier-pair.test-data.ts";
import { sessionPair } from "./tunnel-pair.test-data.ts";

const windowBytes = 256 * 1024;

sessionCompliance({
  name: "MproxySession over a memory carrier",
  // The window, and the buffers of two Node streams.
  heldBytes: windowBytes + 192 * 1024,
  connect: () => Promise.resolve(sessionPair({ settings: { windowBytes } })),
});

sessionCompliance({
  name: "MproxySession over a memory carrier that delivers in pieces of 7 bytes less than 4 KiB",
  heldBytes: windowBytes + 192 * 1024,
  connect: () =>
    Promise.resolve(
      sessionPair({
        settings: { windowBytes },
        carrier: { pieceBytes: 4 * 1024 - 7, highWaterBytes: 1_000 },
      }),
    ),
});

sessionCompliance({
  name: "MproxySession over TLS 1.3 on loopback",
  heldBytes: windowBytes + 192 * 1024,
  connect: async () => sessionPair({ settings: { windowBytes }, carriers: await tlsCarrierPair() }),
});
