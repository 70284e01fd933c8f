import { expect, it, onTestFinished } from "vitest";
import { holdings } from "./support/probes.ts";
import { connectTcp, digest, echoOnce, ending, TestServer } from "./support/tcp.ts";
import { roles, useRunningTrial, type Trial } from "./support/trial.ts";
import { timed, waitUntil, within } from "./support/wait.ts";

const mebibyte = 1024 * 1024;
const stalledReaders = 3;
const payloadBytes = 128 * mebibyte;
/** What one stalled connection may hold: a window of 16 MiB on either hop, and what six TCP buffers of the kernel take. */
const heldAtMost = 2 * 16 * mebibyte + 6 * 6 * mebibyte;

it("readers that stop hold their writers, not the daemons' memory, nor anybody else's connection", async () => {
  const trial = await useRunningTrial();
  let written = 0;
  // Says as much as it can to whoever says "go", and echoes to everybody else.
  const server = await new TestServer((socket) => {
    socket.once("data", (first: Buffer) => {
      if (first.toString() !== "go") {
        socket.write(first);
        socket.pipe(socket);
        return;
      }
      const chunk = Buffer.alloc(mebibyte, 7);
      let left = payloadBytes / chunk.length;
      const more = (): void => {
        while (left > 0) {
          left -= 1;
          written += chunk.length;
          if (!socket.write(chunk)) {
            socket.once("drain", more);
            return;
          }
        }
        socket.end();
      };
      more();
    });
  }).listen(trial.targetPort);
  onTestFinished(() => server.close());
  const before = memory(trial);

  const stalled = await Promise.all(
    Array.from({ length: stalledReaders }, () => connectTcp(trial.listenPort)),
  );
  onTestFinished(() => {
    for (const socket of stalled) socket.destroy();
  });
  for (const socket of stalled) {
    // Without a listener for data nothing is read from the kernel beyond one chunk.
    socket.pause();
    socket.write("go");
  }
  let last = -1;
  let same = 0;
  await waitUntil(
    "the writers stand still",
    () => {
      same = written === last ? same + 1 : 0;
      last = written;
      return written > 0 && same >= 25;
    },
    { withinMs: 20_000 },
  );
  console.log(`${stalledReaders} stalled readers hold ${written / mebibyte} MiB in all`);
  expect(written).toBeLessThanOrEqual(stalledReaders * heldAtMost);
  const now = memory(trial);
  for (const role of roles) {
    const grown = now[role] - before[role];
    // Each daemon holds at most the windows of its own hops.
    expect(grown, `memory of the ${role}`).toBeLessThan(
      stalledReaders * 40 * mebibyte + 48 * mebibyte,
    );
  }

  for (let round = 0; round < 20; round += 1) {
    const { tookMs } = await timed(() => echoOnce(trial.listenPort));
    expect(tookMs).toBeLessThan(1_000);
  }

  // Whoever reads on gets everything; whoever leaves is forgotten.
  const [reader, ...leaving] = stalled;
  for (const socket of leaving) socket.resetAndDestroy();
  const { bytes } = await within(30_000, "the rest", digest(reader!));
  expect(bytes).toBe(payloadBytes);
  reader!.destroy();
  await trial.quiet();
});

it("a writer whose reader left is told at once", async () => {
  const trial = await useRunningTrial();
  const server = await new TestServer((socket) => {
    socket.once("data", () => socket.resetAndDestroy());
  }).listen(trial.targetPort);
  onTestFinished(() => server.close());
  const socket = await connectTcp(trial.listenPort);
  const chunk = Buffer.alloc(mebibyte);
  for (let sent = 0; sent < 64; sent += 1) socket.write(chunk);
  expect(await ending(socket, 3_000)).toBe("reset");
  await trial.quiet();
});

function memory(trial: Trial): Record<(typeof roles)[number], number> {
  const rss = (role: (typeof roles)[number]): number => holdings(trial.daemon(role).pid).rssBytes;
  return { relay: rss("relay"), server: rss("server"), client: rss("client") };
}
