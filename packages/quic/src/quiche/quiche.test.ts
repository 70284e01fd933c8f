import { generateIdentity } from "@culvert/identity";
import { systemClock, systemRandom } from "@culvert/runtime";
import { engineCompliance } from "@culvert/testkit";
import { createQuicheEngine, largestDatagramBytes } from "../index.ts";

for (const datagramBytes of [1350, largestDatagramBytes]) {
  engineCompliance({
    name: `quiche, datagrams of ${datagramBytes} bytes`,
    settings: { datagramBytes },
    setup() {
      const deps = { clock: systemClock, random: systemRandom, warn: () => undefined };
      return {
        server: createQuicheEngine(deps),
        client: createQuicheEngine(deps),
        serverIdentity: generateIdentity(),
        clientIdentity: generateIdentity(),
        stranger: generateIdentity().peerId,
      };
    },
  });
}
