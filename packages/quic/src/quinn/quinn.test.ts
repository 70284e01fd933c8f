import { generateIdentity } from "@culvert/identity";
import { systemClock, systemRandom } from "@culvert/runtime";
import { engineCompliance } from "@culvert/testkit";
import { createQuinnEngine, quinnAvailable } from "../index.ts";

engineCompliance({
  name: "quinn",
  lacks: ["reset_codes", "close_reasons"],
  skip: quinnAvailable() ? undefined : "the quinn addon is not installed here",
  setup() {
    const deps = { clock: systemClock, random: systemRandom, warn: () => undefined };
    return {
      server: createQuinnEngine(deps),
      client: createQuinnEngine(deps),
      serverIdentity: generateIdentity(),
      clientIdentity: generateIdentity(),
      stranger: generateIdentity().peerId,
    };
  },
});
