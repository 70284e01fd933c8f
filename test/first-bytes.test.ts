import { once } from "node:events";
import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import type { LogEvent, Role } from "./support/daemon.ts";
import { connectTcp, ending, TestServer } from "./support/tcp.ts";
import { roles, useRunningTrial, useTrial, type Trial } from "./support/trial.ts";
import { waitUntil, within } from "./support/wait.ts";

// What P1 says at once is sent ahead of the answer (PROTOCOL.md §4.2).

/** What carries the sessions; the relay starts the server by a link where it is `norouter`. */
const carriers = [
  ["quinn", "quic/quinn"],
  ["wss", "mproxy/websocket"],
  ["norouter", "norouter"],
] as const;

describe.each(carriers)("by %s", (carrier, transport) => {
  it("bytes and FIN that come with the connection arrive whole, once and in order", async () => {
    const trial = await useCarried(carrier);
    const server = await new TestServer((socket) => socket.pipe(socket)).listen(trial.targetPort);
    onTestFinished(() => server.close());
    const lengths = [0, 1, 2_000, 16_383, 16_384, 16_385, 300_000];
    await Promise.all([...lengths, ...lengths].map((length) => expectEcho(trial, length)));
    const { peers } = await trial.status("relay");
    const box = peers.find(({ name }) => name === "lan-box");
    expect(box?.sessions.map((session) => session.transport)).toEqual([transport]);
  });

  it("a target that resets at the first byte was open and has been cut, for relay and client", async () => {
    const trial = await useCarried(carrier);
    const server = await new TestServer((socket) => {
      socket.once("data", () => socket.resetAndDestroy());
    }).listen(trial.targetPort);
    onTestFinished(() => server.close());
    const rounds = 30;
    for (let round = 0; round < rounds; round += 1) {
      const socket = await connectTcp(trial.listenPort);
      socket.write("now");
      expect(await ending(socket, 5_000)).toBe("reset");
    }
    const closed = (role: Role, event: string): readonly LogEvent[] =>
      trial.daemon(role).named(event);
    await waitUntil("all in the logs", () => {
      const relay = closed("relay", "relay.connection.closed");
      return (
        relay.length >= rounds && closed("client", "client.connection.closed").length >= rounds
      );
    });
    for (const { cause } of closed("relay", "relay.connection.closed"))
      expect(cause).toBe("server");
    for (const { cause } of closed("client", "client.connection.closed"))
      expect(cause).toBe("relay");
    for (const role of ["relay", "client"] as const) {
      expect(closed(role, `${role}.connection.refused`)).toEqual([]);
    }
    await trial.quiet();
  });
});

it.each([0, 1, 2_000, 16_383, 16_384, 16_385, 40_000, 300_000])(
  "%i bytes and FIN that come with the connection arrive whole, once and in order",
  async (length) => {
    const trial = await useRunningTrial();
    const server = await new TestServer((socket) => socket.pipe(socket)).listen(trial.targetPort);
    onTestFinished(() => server.close());
    await Promise.all(Array.from({ length: 8 }, () => expectEcho(trial, length)));
  },
);

it("a client that spoke at once is reset where the target refuses", async () => {
  const trial = await useRunningTrial();
  const socket = connect({ host: "127.0.0.1", port: trial.listenPort });
  onTestFinished(() => void socket.destroy());
  socket.write("anybody there?");
  expect(await ending(socket, 10_000)).not.toBe("end");
});

async function useCarried(carrier: (typeof carriers)[number][0]): Promise<Trial> {
  const trial = await useTrial(
    carrier === "norouter" ? { link: true } : { transports: [carrier === "wss" ? "wss" : "quic"] },
  );
  if (carrier === "quinn") {
    for (const role of roles) {
      await trial.edit(role, (config) => {
        config["quic"] = { engine: "quinn" };
      });
    }
  }
  await trial.start(carrier === "norouter" ? ["relay", "client"] : roles);
  await trial.attached();
  return trial;
}

async function expectEcho(trial: Trial, length: number): Promise<void> {
  const sent = randomBytes(length);
  const socket = connect({ host: "127.0.0.1", port: trial.listenPort, allowHalfOpen: true });
  onTestFinished(() => void socket.destroy());
  socket.end(sent);
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  await within(20_000, "the end", once(socket, "end"));
  expect(Buffer.concat(chunks).equals(sent), `${length} bytes`).toBe(true);
}
