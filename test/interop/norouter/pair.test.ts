import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { connectTcp, digest, ending, sendRandom } from "../../support/tcp.ts";
import { waitUntil, within } from "../../support/wait.ts";
import { usePair } from "./agent-pair.ts";
import { ours, realProgram, type Program } from "./program.ts";

const real = realProgram();
const mebibyte = 1024 * 1024;
const pairs: readonly (readonly [Program, Program])[] = [
  [ours, ours],
  ...(real === undefined
    ? []
    : ([
        [ours, real],
        [real, ours],
        [real, real],
      ] as const)),
];

for (const [near, far] of pairs) {
  describe(`two agents on one pipe, without a manager: from ${near.name} to ${far.name}`, () => {
    it("carries 2 MiB and their echo, ten times at once", async () => {
      const pair = await usePair(near, far, (socket) => socket.pipe(socket));
      const transfers = Array.from({ length: 10 }, async () => {
        const socket = await connectTcp(pair.port, 5_000, pair.host);
        const [sent, back] = await Promise.all([sendRandom(socket, 2 * mebibyte), digest(socket)]);
        expect(back).toEqual(sent);
      });
      await Promise.all(transfers);
    });

    it("answers after the end of the question", async () => {
      const pair = await usePair(near, far, (socket) => {
        void wholeInput(socket).then((bytes) => socket.end("x".repeat(bytes)));
      });
      const socket = await connectTcp(pair.port, 5_000, pair.host);
      const [sent, answer] = await Promise.all([sendRandom(socket, mebibyte), digest(socket)]);
      expect(answer.bytes).toBe(sent.bytes);
    });

    it("carries on a direction after the end of the other, for a server that ends first", async () => {
      let heard = 0;
      const pair = await usePair(near, far, (socket) => {
        socket.end("bye");
        void wholeInput(socket).then((bytes) => (heard = bytes));
      });
      const socket = await connectTcp(pair.port, 5_000, pair.host);
      expect(await wholeInput(socket)).toBe(3);
      await sendRandom(socket, mebibyte);
      await waitUntil("all of it at the server", () => heard === mebibyte, { withinMs: 10_000 });
    });

    it("closes a connection whose server is not there, and goes on", async () => {
      const pair = await usePair(near, far, (socket) => socket.pipe(socket));
      const socket = await connectTcp(pair.portOfNobody, 5_000, pair.host);
      expect(await ending(socket, 10_000)).toMatch(/^(end|reset)$/);
      socket.destroy();
      const second = await connectTcp(pair.port, 5_000, pair.host);
      const [sent, back] = await Promise.all([sendRandom(second, 1_000), digest(second)]);
      expect(back).toEqual(sent);
    });

    it("resets the user's connection when the server resets its own", async () => {
      const pair = await usePair(near, far, (socket) => {
        socket.once("data", () => socket.resetAndDestroy());
      });
      const socket = await connectTcp(pair.port, 5_000, pair.host);
      socket.write("something");
      // The original ends what was reset; nothing of the difference reaches a user that only reads.
      expect(await ending(socket, 10_000)).toMatch(/^(end|reset)$/);
      socket.destroy();
    });

    it("ends with its input, and takes the other along", async () => {
      const pair = await usePair(near, far, (socket) => socket.pipe(socket));
      // The pipe between them is two: each agent's end is the end of the other's input.
      pair.near.child.stdin.end();
      for (const agent of [pair.near, pair.far]) {
        await waitUntil("the end of the agent", () => !agent.child.running, { withinMs: 10_000 });
      }
    });
  });
}

/** The bytes that came until the other side ended; the socket stays open for writing. */
function wholeInput(socket: Socket): Promise<number> {
  let bytes = 0;
  socket.on("data", (chunk: Buffer) => (bytes += chunk.length));
  return within(
    20_000,
    "the other side's end",
    new Promise((resolve) => {
      for (const over of ["end", "close"]) {
        socket.once(over, () => {
          resolve(bytes);
        });
      }
    }),
  );
}
