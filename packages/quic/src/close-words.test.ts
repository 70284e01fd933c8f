import { generateIdentity } from "@culvert/identity";
import { Scope, systemClock, systemRandom } from "@culvert/runtime";
import { within } from "@culvert/testkit";
import { afterEach, expect, test } from "vitest";
import { createQuicheEngine, createQuinnEngine, quicDefaults, quinnAvailable } from "./index.ts";

const deps = { clock: systemClock, random: systemRandom, warn: () => undefined };
let scope = new Scope();

afterEach(async () => {
  await scope.close();
  scope = new Scope();
});

// quinn lets a stateless reset take the place of a close that came just before it.
test.skipIf(!quinnAvailable())(
  "why a connection was closed reaches a peer whose own datagrams are still under way, three hundred times",
  { timeout: 60_000 },
  async () => {
    const identity = generateIdentity();
    const listener = await createQuicheEngine(deps).listen({
      address: { host: "127.0.0.1", port: 0 },
      identity,
      settings: quicDefaults,
    });
    scope.add(() => listener.close());
    const client = createQuinnEngine(deps);
    const accepted = listener.connections[Symbol.asyncIterator]();
    const reasons = new Set<string>();
    for (let count = 0; count < 300; count += 1) {
      const near = await client.dial({
        address: listener.address,
        identity: generateIdentity(),
        expectedPeer: identity.peerId,
        settings: quicDefaults,
      });
      const far = valueOf(await within(accepted.next(), { what: "the connection" }));
      const stream = await far.openStream();
      stream.on("error", () => undefined);
      stream.write("x");
      const next = near.streams[Symbol.asyncIterator]().next();
      const taken = valueOf(await within(next, { what: "the stream" }));
      taken.on("error", () => undefined);
      far.close({ by: "us", code: "superseded", text: "a newer session took over" });
      reasons.add((await within(near.closed, { what: "the close" })).code);
    }
    expect([...reasons]).toEqual(["closed_by_peer"]);
  },
);

function valueOf<T>(item: IteratorResult<T, unknown>): T {
  if (item.done === true) throw new Error("there is no next one");
  return item.value;
}
