import { networkInterfaces } from "node:os";
import { expect, it, onTestFinished } from "vitest";
import { connectTcp, digest, TestServer } from "./support/tcp.ts";
import { useTrial } from "./support/trial.ts";
import { within } from "./support/wait.ts";

const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
const absent = !addresses.some(({ address }) => address === "::1");
if (absent) console.warn("skipped: this machine has no IPv6 loopback address");

it.skipIf(absent)("relay, mapping and target work over IPv6", async () => {
  const trial = await useTrial();
  const server = await new TestServer((socket) => {
    socket.pipe(socket);
  }).listen(trial.targetPort, "::1");
  onTestFinished(() => server.close());
  await trial.edit("relay", (config) => {
    config["listen"] = [`[::1]:${trial.relayPort}`];
    delete config["web"];
    const grant = { client: "laptop", server: "lan-box", services: ["six"] };
    config["grants"] = [grant];
  });
  for (const role of ["server", "client"] as const) {
    await trial.edit(role, (config) => {
      config["relay"] = { ...(config["relay"] as object), address: `[::1]:${trial.relayPort}` };
      if (role === "server") config["services"] = { six: `[::1]:${trial.targetPort}` };
      else config["forwards"] = [{ listen: `[::1]:${trial.listenPort}`, to: "lan-box:six" }];
    });
  }
  await trial.start();
  expect(trial.daemon("relay").lines).toEqual([`ready relay udp [::1]:${trial.relayPort}`]);
  expect(trial.daemon("client").lines).toEqual([`ready client [::1]:${trial.listenPort}`]);
  const socket = await connectTcp(trial.listenPort, 2_000, "::1");
  socket.end("six");
  expect(await within(2_000, "the echo", digest(socket))).toMatchObject({ bytes: 3 });
  await trial.quiet();
});
