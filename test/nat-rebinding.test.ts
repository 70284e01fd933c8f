import { describe, expect, it } from "vitest";
import { openLive, recovers, useEcho } from "./support/connections.ts";
import { Nat } from "./support/nat.ts";
import { connectTcp, digest, ending, sendRandom } from "./support/tcp.ts";
import { useTrial, type Trial } from "./support/trial.ts";
import { timed, waitUntil, within } from "./support/wait.ts";

const mebibyte = 1024 * 1024;

describe("client and server get new UDP ports from their NAT", () => {
  it.each([1, 3])("quiche: a transfer goes on, %i times", async (times) => {
    const { trial, nat } = await useTrialBehindNat("quiche");
    const before = await remotes(trial);
    const socket = await connectTcp(trial.listenPort);
    let rebound = 0;
    const received = digest(socket, (bytes) => {
      if (rebound === times || bytes < (rebound + 1) * 8 * mebibyte) return;
      rebound += 1;
      nat.rebind();
    });
    const sent = sendRandom(socket, 40 * mebibyte);
    const [there, back] = await within(40_000, "the transfer", Promise.all([sent, received]));
    expect(back).toEqual(there);
    expect(rebound).toBe(times);
    socket.destroy();
    await waitUntil("the relay shows the new addresses", async () => {
      const now = await remotes(trial);
      return now.every((remote, index) => remote !== before[index]);
    });
    expect(trial.daemon("client").named("client.detached")).toEqual([]);
    expect(trial.daemon("server").named("server.detached")).toEqual([]);
    await trial.quiet();
  });

  it("quiche: an idle connection goes on", async () => {
    const { trial, nat } = await useTrialBehindNat("quiche");
    const live = await openLive(trial.listenPort);
    nat.rebind();
    live.write("still there?");
    await waitUntil("the echo", () => live.read() !== null);
    expect(trial.daemon("client").named("client.detached")).toEqual([]);
  });

  // Its addon cannot follow a peer to another address, so the session is lost as by silence, and dialled again.
  it("quinn: P1 is closed within 10 s, and the next good connection works 2 s later", async () => {
    const { trial, nat } = await useTrialBehindNat("quinn");
    const live = await openLive(trial.listenPort);
    nat.rebind();
    const { value, tookMs } = await timed(() => ending(live, 10_000));
    expect(value).toBe("reset");
    console.log(`quinn behind a new NAT port: P1 closed after ${Math.round(tookMs)} ms`);
    await recovers(trial.listenPort);
    await trial.quiet();
  });
});

async function useTrialBehindNat(
  engine: "quiche" | "quinn",
): Promise<{ readonly trial: Trial; readonly nat: Nat }> {
  const trial = await useTrial();
  await useEcho(trial);
  const nat = await Nat.use(trial.relayPort);
  await trial.edit("relay", (config) => {
    config["quic"] = { engine };
  });
  for (const role of ["server", "client"] as const) {
    await trial.edit(role, (config) => {
      config["relay"] = { ...(config["relay"] as object), address: `127.0.0.1:${nat.port}` };
      config["quic"] = { engine };
    });
  }
  await trial.start();
  await trial.attached();
  return { trial, nat };
}

async function remotes(trial: Trial): Promise<readonly string[]> {
  return (await trial.status("relay")).peers.map((peer) => peer.sessions[0]?.remote ?? "none");
}
