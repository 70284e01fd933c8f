import { generateIdentity } from "@culvert/identity";
import { systemClock } from "@culvert/runtime";
import { memoryCarrierPair, waitUntil } from "@culvert/testkit";
import { MproxySession, MproxyTunnel, type Session } from "@culvert/transport";
import { expect, it } from "vitest";
import { TunnelDrops } from "./tunnel-drops.ts";

function sessionPair(): [near: Session, far: Session] {
  const [near, far] = memoryCarrierPair();
  const peer = generateIdentity().peerId;
  const make = (carrier: typeof near, dialect: "culvert-dialler" | "culvert-listener"): Session =>
    new MproxySession({
      tunnel: new MproxyTunnel({ clock: systemClock, carrier }, { dialect, settings: {} }),
      peer,
      agreement: {},
      maxStreams: 10,
    });
  return [make(near, "culvert-dialler"), make(far, "culvert-listener")];
}

it("adds up what sessions threw away, those that are over too, and asks no other session", async () => {
  const drops = new TunnelDrops();
  const quic = { transport: "quic/quinn" } as unknown as Session;
  drops.watch(quic);
  for (let round = 1; round <= 2; round += 1) {
    const [near, far] = sessionPair();
    drops.watch(far);
    const ours = await far.openStream();
    ours.write("hello");
    const theirs = (await near.streams[Symbol.asyncIterator]().next()).value as typeof ours;
    // What is still under way when its reader has gone is late.
    ours.destroy();
    theirs.write("too late");
    await waitUntil(() => drops.total().late_frame === round, { what: `drop ${round}` });
    near.close({ by: "us", code: "done", text: "done" });
    await far.closed;
    expect(drops.total().late_frame).toBe(round);
  }
});
