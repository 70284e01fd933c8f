import type { Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { connectTcp } from "../../support/tcp.ts";
import { timed, within } from "../../support/wait.ts";
import { usePair } from "./agent-pair.ts";
import { ours, realProgram, type Program } from "./program.ts";

const real = realProgram();
/** Head and body of a short answer. */
const [headBytes, bodyBytes] = [60, 200];
const rounds = 60;
/** What a stack may be slower than the original with itself, far less than any delay of an acknowledgement (20 to 200 ms). */
const allowanceMs = 15;

describe.skipIf(real === undefined)("an answer in two small pieces", () => {
  it("takes no acknowledgement's delay in any pairing of agents, as none with itself of the original", async () => {
    if (real === undefined) return;
    const pairings = [
      await useExchange(real, real),
      await useExchange(real, ours),
      await useExchange(ours, real),
      await useExchange(ours, ours),
    ];
    // All in turns, so that what else the machine does hits all of them.
    for (let round = 0; round < rounds; round += 1) {
      for (const { tookMs, once } of pairings) tookMs.push((await timed(once)).tookMs);
    }
    const medians = pairings.map(({ title, tookMs }) => ({ title, ms: median(tookMs) }));
    console.log(medians.map(({ title, ms }) => `${title} ${ms.toFixed(1)} ms`).join(", "));
    const limitMs = (medians[0]?.ms ?? 0) + allowanceMs;
    expect(medians.filter(({ ms }) => ms > limitMs)).toEqual([]);
  });
});

interface Exchange {
  readonly title: string;
  readonly tookMs: number[];
  /** One question and its answer, on a connection that stays. */
  readonly once: () => Promise<void>;
}

async function useExchange(near: Program, far: Program): Promise<Exchange> {
  let server: Socket | undefined;
  const pair = await usePair(near, far, (socket) => {
    socket.on("data", () => {
      server = socket;
      socket.write(Buffer.alloc(headBytes));
    });
  });
  const socket = await connectTcp(pair.port, 5_000, pair.host);
  onTestFinished(() => void socket.destroy());
  socket.setNoDelay(true);
  const once = async (): Promise<void> => {
    socket.write(Buffer.alloc(50));
    await bytesOf(socket, headBytes);
    // The body is written once the head is there, and so certainly goes into a segment of its own.
    server?.write(Buffer.alloc(bodyBytes));
    await bytesOf(socket, bodyBytes);
  };
  return { title: `${near.name} to ${far.name}`, tookMs: [], once };
}

/** Waits for so many bytes. */
function bytesOf(socket: Socket, bytes: number): Promise<void> {
  let left = bytes;
  return within(
    5_000,
    `${bytes} bytes`,
    new Promise((resolve) => {
      const take = (chunk: Buffer): void => {
        left -= chunk.length;
        if (left > 0) return;
        socket.off("data", take);
        resolve();
      };
      socket.on("data", take);
    }),
  );
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Infinity;
}
