import { once } from "node:events";
import { afterEach, test } from "vitest";
import { generateIdentity } from "@culvert/identity";
import { Scope, systemClock, systemRandom } from "@culvert/runtime";
import { readBytes, waitUntil, within } from "@culvert/testkit";
import {
  createQuicheEngine,
  createQuinnEngine,
  quicDefaults,
  quinnAvailable,
  type QuicStream,
} from "../index.ts";

const deps = { clock: systemClock, random: systemRandom, warn: () => undefined };
let scope = new Scope();

afterEach(async () => {
  await scope.close();
  scope = new Scope();
});

test.skipIf(!quinnAvailable())(
  "a stream that ends after its bytes arrives whole, though another has used up the peer's credit and is not read",
  async () => {
    const identity = generateIdentity();
    // quinn holds its peer to one window for all streams.
    const windowBytes = 256 * 1024;
    const listener = await createQuinnEngine(deps).listen({
      address: { host: "127.0.0.1", port: 0 },
      identity,
      settings: { ...quicDefaults, connectionWindowBytes: windowBytes },
    });
    scope.add(() => listener.close());
    const client = await createQuicheEngine(deps).dial({
      address: listener.address,
      identity: generateIdentity(),
      expectedPeer: identity.peerId,
      settings: quicDefaults,
    });
    scope.add(() => client.close({ by: "us", code: "over", text: "the test is over" }));
    const server = await next(listener.connections);
    const near = await client.openStream();
    near.write("!");
    const far = await next(server.streams);
    await readBytes(far, 1);
    // quinn gives a stream a sixteenth of it. Small writes go whole or not at all, so least of it is left.
    const greedy: QuicStream[] = [];
    for (let count = 0; count < 20; count += 1) {
      const stream = await client.openStream();
      stream.on("error", () => undefined);
      for (let bytes = 0; bytes < windowBytes / 8; bytes += 50) stream.write(Buffer.alloc(50));
      greedy.push(stream);
    }
    let sent = 0;
    const isUsedUp = (): boolean => {
      const before = sent;
      sent = 20 * (windowBytes / 8);
      for (const stream of greedy) sent -= stream.writableLength;
      return sent === before && sent > 0.99 * windowBytes;
    };
    await waitUntil(isUsedUp, { what: "the credit to be used up" });
    near.end();
    far.resume();
    await within(once(far, "end"), { limitMs: 4_000, what: "the end" });
  },
);

async function next<T>(items: AsyncIterable<T>): Promise<T> {
  const item = await within(items[Symbol.asyncIterator]().next(), { what: "the next one" });
  if (item.done === true) throw new Error("there is no next one");
  return item.value;
}
