import { randomBytes } from "node:crypto";
import { type Socket } from "node:net";
import { expect, onTestFinished } from "vitest";
import { systemClock, systemCode } from "@culvert/runtime";
import { connectTcp, echoOnce, echoServer, ending, readExactly, type TestServer } from "./tcp.ts";
import type { Trial } from "./trial.ts";
import { timed, waitUntil } from "./wait.ts";

/** An echo server at the trial's target port, for as long as the test runs. */
export async function useEcho(trial: Trial, prefix = ""): Promise<TestServer> {
  const server = await echoServer(trial.targetPort, prefix);
  onTestFinished(() => server.close());
  return server;
}

/** A connection through all hops that has carried something and stays open until the test ends. */
export async function openLive(port: number): Promise<Socket> {
  const socket = await connectTcp(port);
  onTestFinished(() => {
    socket.destroy();
  });
  const greeting = randomBytes(1024);
  socket.write(greeting);
  const back = await readExactly(socket, greeting.length, 5_000, "echo of a greeting");
  expect(back.equals(greeting)).toBe(true);
  return socket;
}

/**
 * Tries good connections until one works, and asserts that it did so within `ms` (default 2,000) of this call, which stands for
 * "everything is up again". Gives the milliseconds it took.
 */
export async function recovers(port: number, ms = 2_000): Promise<number> {
  const end = systemClock.now() + ms;
  const { tookMs } = await timed(() =>
    waitUntil(
      "a good connection",
      async () => {
        await echoOnce(port, Math.max(1, end - systemClock.now()));
        return true;
      },
      { withinMs: ms },
    ),
  );
  expect(tookMs, "milliseconds until the next good connection").toBeLessThanOrEqual(ms);
  return tookMs;
}

/** Connects, says hello, and asserts that the connection is closed, not left hanging, within `ms`. Gives the time it took. */
export async function closedWithin(port: number, ms: number): Promise<number> {
  const { tookMs } = await timed(async () => {
    const socket = await connectTcp(port, ms).catch((error: unknown) => {
      // Accepted and reset before we have looked: a close as well. Nobody listening is something else.
      if (systemCode(error) === "ECONNRESET") return undefined;
      throw error;
    });
    if (socket === undefined) return;
    try {
      socket.write("is anybody there?\n");
      await ending(socket, ms);
    } finally {
      socket.destroy();
    }
  });
  expect(tookMs, "milliseconds until the close").toBeLessThanOrEqual(ms);
  return tookMs;
}
