import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { networkInterfaces } from "node:os";
import { expect } from "vitest";
import { millis, systemClock } from "@culvert/runtime";
import type { QuicStream, UdpAddress } from "@culvert/quic";
import { EngineLink, type EngineHarness } from "./engine-harness.ts";
import type { EngineSuite } from "./engine-suite.ts";
import { readPayload, writePayload } from "../payload.ts";
import { within } from "../wait-until.ts";

/** Cases about listening, dialling and who is at the other end. */
export function handshakeCases(suite: EngineSuite): void {
  suite.test("both sides know each other's peer id and address", async (harness) => {
    const { listener, client, server } = await harness.connect();
    expect(client.peer).toBe(harness.pair.serverIdentity.peerId);
    expect(server.peer).toBe(harness.pair.clientIdentity.peerId);
    expect(client.engine).toBe(harness.pair.client.name);
    expect(server.engine).toBe(harness.pair.server.name);
    expect(listener.address.port).toBeGreaterThan(0);
    expect(client.remote).toEqual(listener.address);
    expect(server.remote.port).toBeGreaterThan(0);
  });

  suite.test("a wrong peer id is refused, and the listener lives on", async (harness) => {
    const listener = await harness.listen();
    const refused = harness.dial(listener.address, { expectedPeer: harness.pair.stranger });
    await expect(within(refused, { what: "the refusal" })).rejects.toMatchObject({
      name: "TransportError",
      code: expect.stringMatching(/^(wrong_peer|handshake_failed)$/) as string,
    });
    const connection = await harness.dial(listener.address);
    const sent = await writePayload(await connection.openStream(), 1_000, 1);
    // A server may have taken the refused handshake for complete: that connection ends without a stream.
    let stream: QuicStream | undefined;
    while (stream === undefined) {
      const link = new EngineLink(listener, connection, await listener.next());
      stream = await link.accept("server");
    }
    expect(await within(readPayload(stream), { what: "the payload" })).toEqual(sent);
  });

  suite.test("ten connections at once reach one listener", async (harness) => {
    const listener = await harness.listen();
    const dialled = await Promise.all(
      Array.from({ length: 10 }, () => harness.dial(listener.address)),
    );
    for (const connection of dialled) {
      const accepted = await listener.next();
      expect(accepted.peer).toBe(harness.pair.clientIdentity.peerId);
      expect(connection.stats().openStreams).toBe(0);
    }
    expect(listener.listener.stats().halfOpen).toBe(0);
  });

  suite.test("a port in use is an error that says so", async (harness) => {
    const first = await harness.listen();
    await expect(harness.listen({}, first.address)).rejects.toMatchObject({
      name: "TransportError",
      code: "address_in_use",
      message: expect.stringContaining(String(first.address.port)) as string,
    });
  });

  suite.test("a closed listener ends its connections and frees its port", async (harness) => {
    const { listener, client, server } = await harness.connect();
    await within(listener.listener.close(), { what: "the close of the listener" });
    expect((await within(server.closed, { what: "the server's end" })).by).toBe("us");
    expect((await within(client.closed, { what: "the client's end" })).by).not.toBe("us");
    expect(await listener.ends()).toBe(true);
    await listener.listener.close();
    const again = await harness.listen({}, listener.address);
    expect(again.address).toEqual(listener.address);
    await harness.dial(again.address);
  });

  suite.test(
    "dialling where nobody answers ends within the handshake time-out",
    async (harness) => {
      const silent = await silentPort(harness);
      const before = systemClock.now();
      const settings = { handshakeTimeout: millis(600) };
      await expect(harness.dial(silent, { settings })).rejects.toMatchObject({
        name: "TransportError",
        code: expect.stringMatching(/^(timeout|dial_failed|handshake_failed)$/) as string,
      });
      expect(systemClock.now() - before).toBeLessThan(600 + 1_500);
    },
  );

  suite.test("dialling a closed port ends within the handshake time-out", async (harness) => {
    const dead = await harness.listen();
    await dead.listener.close();
    const before = systemClock.now();
    const settings = { handshakeTimeout: millis(600) };
    await expect(harness.dial(dead.address, { settings })).rejects.toMatchObject({
      name: "TransportError",
      code: expect.stringMatching(/^(timeout|dial_failed|handshake_failed)$/) as string,
    });
    expect(systemClock.now() - before).toBeLessThan(600 + 1_500);
  });

  suite.test("an abort signal ends a dial at once", async (harness) => {
    const silent = await silentPort(harness);
    const controller = new AbortController();
    const dial = harness.dial(silent, { signal: controller.signal });
    const aborted = expect(within(dial, { what: "the abort" })).rejects;
    const before = systemClock.now();
    setImmediate(() => controller.abort());
    await aborted.toMatchObject({ name: "TransportError", code: "aborted" });
    expect(systemClock.now() - before).toBeLessThan(1_000);
    const late = harness.dial(silent, { signal: controller.signal });
    await expect(within(late, { what: "the abort" })).rejects.toMatchObject({ code: "aborted" });
  });

  suite.test(
    "the IPv6 loopback address works too",
    async (harness) => {
      const link = await harness.connect({}, "::1");
      expect(link.listener.address.host).toBe("::1");
      expect(link.client.remote).toEqual(link.listener.address);
      const { near, far } = await link.open("client");
      const sent = await writePayload(near, 10_000, 6);
      expect(await within(readPayload(far), { what: "the payload" })).toEqual(sent);
    },
    { unless: hasIpv6Loopback() ? undefined : "this machine has no ::1" },
  );
}

/** The address of a UDP socket that never answers. */
async function silentPort(harness: EngineHarness): Promise<UdpAddress> {
  const socket: Socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  harness.add(() => void socket.close());
  return { host: "127.0.0.1", port: socket.address().port };
}

function hasIpv6Loopback(): boolean {
  return Object.values(networkInterfaces())
    .flat()
    .some((entry) => entry?.address === "::1");
}
