import { generateIdentity } from "@culvert/identity";
import { systemClock, systemRandom } from "@culvert/runtime";
import { engineCompliance } from "@culvert/testkit";
import { createQuicheEngine, createQuinnEngine, quinnAvailable } from "./index.ts";

const skip = quinnAvailable() ? undefined : "the quinn addon for this platform is not installed";
const deps = { clock: systemClock, random: systemRandom, warn: () => undefined };
const people = () => ({
  serverIdentity: generateIdentity(),
  clientIdentity: generateIdentity(),
  stranger: generateIdentity().peerId,
});

engineCompliance({
  name: "quinn dials quiche",
  skip,
  lacks: ["reset_codes", "close_reasons"],
  setup: () => ({
    server: createQuicheEngine(deps),
    client: createQuinnEngine(deps),
    ...people(),
  }),
});

engineCompliance({
  name: "quiche dials quinn",
  skip,
  lacks: ["reset_codes", "close_reasons"],
  setup: () => ({
    server: createQuinnEngine(deps),
    client: createQuicheEngine(deps),
    ...people(),
  }),
});
