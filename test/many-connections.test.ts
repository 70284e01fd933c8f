import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { expect, it } from "vitest";
import { useEcho } from "./support/connections.ts";
import { measurable } from "./support/live-heap.ts";
import { holdings } from "./support/probes.ts";
import { connectTcp, ending, readExactly } from "./support/tcp.ts";
import { roles, useRunningTrial, type Trial } from "./support/trial.ts";
import { timed, waitUntil } from "./support/wait.ts";

const mebibyte = 1024 * 1024;
const connections = 2_000;
const payloadBytes = 8 * 1024;
/** The most that the living heap of any daemon may have grown after the second wave: half a kibibyte for each connection. */
const maxHeapGrowth = mebibyte;
/** The most that resident memory may have grown, in which V8 and the allocator keep room for the next wave. */
const maxRssGrowth = 48 * mebibyte;

it("carries 2,000 connections at once, each with its own payload, and gives everything back", async () => {
  const trial = await useRunningTrial(measurable);
  const echo = await useEcho(trial);
  // The first wave grows pools and compiled code to their working size, so that the second shows what leaks.
  await wave(trial);
  const heapsBefore = await trial.liveHeaps();
  const baseline = await trial.baseline();
  await wave(trial);
  const heapsAfter = await trial.liveHeaps();
  for (const role of roles) {
    const growth = heapsAfter.get(role)! - heapsBefore.get(role)!;
    console.log(
      `${role}: living heap ${mib(heapsBefore.get(role)!)} MiB, then ${mib(heapsAfter.get(role)!)} MiB`,
    );
    expect(growth, `growth of the ${role}'s living heap, bytes`).toBeLessThan(maxHeapGrowth);
  }
  await trial.backTo(baseline, maxRssGrowth, 10_000);
  expect(echo.accepted).toBe(2 * connections);
  expect(trial.daemon("relay").named("relay.connection.refused")).toEqual([]);
});

/** Opens all connections, checks each one's echo, looks at the relay, and closes all. */
async function wave(trial: Trial): Promise<void> {
  const relayPid = trial.daemon("relay").pid;
  const before = holdings(relayPid).rssBytes;
  const opened = await timed(() =>
    Promise.all(Array.from({ length: connections }, () => exchange(trial.listenPort))),
  );
  const sockets = opened.value;
  try {
    const status = await trial.status("relay");
    expect(status.connections).toHaveLength(connections);
    expect(new Set(status.connections.map(({ clientPort }) => clientPort)).size).toBe(connections);
    expect(new Set(status.connections.map(({ trace }) => trace)).size).toBe(connections);
    for (const connection of status.connections) {
      expect(connection).toMatchObject({ bytesUp: payloadBytes, bytesDown: payloadBytes });
    }
    const each = (holdings(relayPid).rssBytes - before) / connections / 1024;
    console.log(
      `${connections} connections in ${Math.round(opened.tookMs)} ms; relay: ${each.toFixed(1)} KiB each`,
    );
    for (const socket of sockets) socket.end();
    const endings = await Promise.all(sockets.map((socket) => ending(socket, 20_000)));
    expect(endings.every((how) => how === "end")).toBe(true);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
  await waitUntil(
    "no connection left at the relay",
    async () => (await trial.status("relay")).connections.length === 0,
    { withinMs: 10_000 },
  );
}

async function exchange(port: number): Promise<Socket> {
  const socket = await connectTcp(port, 30_000);
  const payload = randomBytes(payloadBytes);
  socket.write(payload);
  const back = await readExactly(socket, payloadBytes, 30_000, "the echo of a payload");
  if (!back.equals(payload)) throw new Error("another connection's bytes");
  return socket;
}

function mib(bytes: number): string {
  return (bytes / mebibyte).toFixed(2);
}
