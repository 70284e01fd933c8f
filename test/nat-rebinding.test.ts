import { expect, it } from "vitest";
import { useEcho } from "./support/connections.ts";
import { Nat } from "./support/nat.ts";
import { connectTcp, digest, sendRandom } from "./support/tcp.ts";
import { useTrial } from "./support/trial.ts";
import { waitUntil, within } from "./support/wait.ts";

const mebibyte = 1024 * 1024;

for (const engine of ["quiche", "quinn"] as const) {
  it(`goes on when client and server get new UDP ports in the middle of a transfer, ${engine}`, async () => {
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
    const remotes = async (): Promise<readonly string[]> =>
      (await trial.status("relay")).peers.map((peer) => peer.sessions[0]?.remote ?? "none");
    const before = await remotes();

    const socket = await connectTcp(trial.listenPort);
    let rebound = 0;
    const received = digest(socket, (bytes) => {
      if (bytes < (rebound + 1) * 10 * mebibyte || rebound === 3) return;
      rebound += 1;
      nat.rebind();
    });
    const sent = sendRandom(socket, 40 * mebibyte);
    const [there, back] = await within(60_000, "the transfer", Promise.all([sent, received]));
    expect(back).toEqual(there);
    expect(rebound).toBe(3);
    socket.destroy();

    await waitUntil("the relay shows the new addresses", async () => {
      const now = await remotes();
      return now.every((remote, index) => remote !== before[index]);
    });
    expect(trial.daemon("client").named("client.detached")).toEqual([]);
    expect(trial.daemon("server").named("server.detached")).toEqual([]);
    await trial.quiet();
  });
}
