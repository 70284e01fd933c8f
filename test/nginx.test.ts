import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateIdentity } from "@culvert/identity";
import { millis, systemClock, systemRandom } from "@culvert/runtime";
import { sessionCompliance } from "@culvert/testkit";
import { listenWss, wssDialer, type SessionListener, type WssSettings } from "@culvert/transport";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { Child } from "./support/child.ts";
import { openLive, recovers, useEcho } from "./support/connections.ts";
import { startNginx } from "./support/nginx.ts";
import { freePort } from "./support/ports.ts";
import { makeCertificate } from "./support/public-entrance.ts";
import { missing } from "./support/requires.ts";
import { endWithTest } from "./support/temp-folder.ts";
import { useTrial, type Config } from "./support/trial.ts";

const name = "relay.example.com";
const settings: WssSettings = {
  streamWindowBytes: 256 * 1024,
  sessionWindowBytes: 16 * 1024 * 1024,
  maxStreams: 1_000,
  keepAlive: millis(1_000),
  idleTimeout: millis(8_000),
  handshakeTimeout: millis(5_000),
};
const [relay, box] = [generateIdentity(), generateIdentity()];
const deps = {
  clock: systemClock,
  random: systemRandom,
  lookUp: () => Promise.resolve([{ address: "127.0.0.1", family: 4 }]),
};

describe.skipIf(missing("nginx", "openssl"))("a relay behind nginx, which ends TLS", () => {
  let folder: string;
  let nginx: Child;
  let ca: string;
  let port: number;
  let plainPort: number;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "culvert-"));
    const { certFile, keyFile } = await makeCertificate([name, "localhost"], { folder });
    ca = await readFile(certFile, "utf8");
    [port, plainPort] = [await freePort(), await freePort()];
    nginx = await startNginx({ folder, port, name, plainPort, certFile, keyFile });
  });

  afterAll(async () => {
    await nginx.end();
    await rm(folder, { recursive: true, force: true });
  });

  const listen = (): Promise<SessionListener> =>
    listenWss(deps, {
      address: { host: "127.0.0.1", port: plainPort },
      identity: relay,
      settings,
      certificate: "none",
    });
  const listenForTest = async (): Promise<SessionListener> => {
    const listener = await listen();
    onTestFinished(() => listener.close());
    return listener;
  };
  const dial = (behindProxy: boolean, authorities = ca) =>
    wssDialer(deps, {
      relay: { host: name, port },
      relayId: relay.peerId,
      identity: box,
      settings,
      behindProxy,
      ca: authorities,
    })(new AbortController().signal);

  sessionCompliance({
    name: "sessions by WebSocket through nginx",
    // The window, the buffers of two Node streams, and what nginx and its two sockets hold.
    heldBytes: settings.streamWindowBytes + 512 * 1024,
    async connect() {
      const listener = await listen();
      const [client, accepted] = await Promise.all([
        dial(true),
        listener.sessions[Symbol.asyncIterator]().next(),
      ]);
      if (accepted.done === true) throw new Error("the listener ended");
      return {
        client,
        server: accepted.value,
        clientId: box.peerId,
        serverId: relay.peerId,
        release: () => listener.close(),
      };
    },
  });

  it("is refused by a dialler that was not told of it", async () => {
    const listener = await listenForTest();
    await expect(dial(false)).rejects.toThrow(/behindProxy/);
    expect(listener.stats().handshakesCompleted).toBe(0);
  });

  it("is refused with a certificate that no authority vouches for", async () => {
    const listener = await listenForTest();
    const other = await makeCertificate(["other.example.com"], { folder });
    await expect(dial(true, other.pem.certificatePem)).rejects.toMatchObject({
      code: "handshake_failed",
    });
    expect(listener.stats().handshakesStarted).toBe(0);
  });

  it("carries connections between daemons, as the deployed files say", async () => {
    const trial = await useTrial();
    const ports = { nginx: await freePort(), plain: await freePort() };
    const { certFile, keyFile } = await makeCertificate(["localhost"], { folder: trial.folder });
    const site = { name: "localhost", port: ports.nginx, plainPort: ports.plain };
    endWithTest(await startNginx({ folder: trial.folder, certFile, keyFile, ...site }));
    await trial.edit("relay", (config) => {
      config["listen"] = [];
      config["web"] = { plain: [`127.0.0.1:${ports.plain}`] };
    });
    for (const role of ["server", "client"] as const) {
      await trial.edit(role, (config) => {
        config["transports"] = ["wss"];
        const wss = `localhost:${ports.nginx}`;
        Object.assign(config["relay"] as Config, { wss, behindProxy: true, caFile: certFile });
      });
    }
    await useEcho(trial);
    await trial.start();
    await trial.attached();
    await openLive(trial.listenPort);
    expect((await trial.status("client")).link.session?.transport).toBe("mproxy/websocket");
    await trial.daemon("relay").kill();
    await trial.startOne("relay");
    await recovers(trial.listenPort, 5_000);
  });
});
