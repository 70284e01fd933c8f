import { once } from "node:events";
import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { TestServer, ending } from "./support/tcp.ts";
import { useRunningTrial } from "./support/trial.ts";
import { within } from "./support/wait.ts";

// What P1 says at once is sent ahead of the answer (PROTOCOL.md §4.2).

it.each([0, 1, 2_000, 16_383, 16_384, 16_385, 40_000, 300_000])(
  "%i bytes and FIN that come with the connection arrive whole, once and in order",
  async (length) => {
    const trial = await useRunningTrial();
    const server = await new TestServer((socket) => socket.pipe(socket)).listen(trial.targetPort);
    onTestFinished(() => server.close());
    const sent = randomBytes(length);
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        const socket = connect({ host: "127.0.0.1", port: trial.listenPort, allowHalfOpen: true });
        onTestFinished(() => void socket.destroy());
        socket.end(sent);
        const chunks: Buffer[] = [];
        socket.on("data", (chunk: Buffer) => chunks.push(chunk));
        await within(20_000, "the end", once(socket, "end"));
        expect(Buffer.concat(chunks).equals(sent)).toBe(true);
      }),
    );
  },
);

it("a client that spoke at once is reset where the target refuses", async () => {
  const trial = await useRunningTrial();
  const socket = connect({ host: "127.0.0.1", port: trial.listenPort });
  onTestFinished(() => void socket.destroy());
  socket.write("anybody there?");
  expect(await ending(socket, 10_000)).not.toBe("end");
});
