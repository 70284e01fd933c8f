import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it, vi } from "vitest";
import { millis } from "@culvert/runtime";
import { VirtualClock } from "@culvert/testkit";
import { Liveness } from "../manager/liveness.ts";
import { egressDefaults, FrameWriter } from "./frame-writer.ts";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A real connection whose far end is read only where a test asks for it. */
async function line(): Promise<{ readonly near: Socket; readonly far: Socket }> {
  const folder = mkdtempSync(join(tmpdir(), "norouter-line-"));
  const server = createServer({ pauseOnConnect: true }).listen(join(folder, "line"));
  const accepted = once(server, "connection") as Promise<[Socket]>;
  await once(server, "listening");
  const near = connect(join(folder, "line"));
  const [far] = await accepted;
  for (const socket of [near, far]) socket.on("error", () => undefined);
  closers.push(() => {
    near.destroy();
    far.destroy();
    server.close();
    rmSync(folder, { recursive: true });
  });
  return { near, far };
}

/** Reads at least so much. */
async function take(socket: Socket, bytes: number): Promise<void> {
  for (let taken = 0; taken < bytes;) {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) await once(socket, "readable");
    else taken += chunk.length;
  }
}

async function watched() {
  const { near, far } = await line();
  const clock = new VirtualClock();
  const writer = new FrameWriter(near);
  const onStuck = vi.fn();
  const liveness = new Liveness(
    {
      clock,
      probe: () => undefined,
      egress: () => ({ isWaiting: writer.stats().queuedBytes > 0, taken: writer.takenFrames }),
      onStuck,
      onAnswer: () => undefined,
    },
    millis(40_000),
  );
  liveness.start();
  while (writer.sendPacket(Buffer.alloc(60_000)));
  expect(writer.stats().queuedBytes).toBeGreaterThan(egressDefaults.maxBytes - 120_000);
  const turn = async (): Promise<void> => {
    liveness.heard();
    await clock.advance(10_000);
  };
  return { far, writer, onStuck, turn };
}

it("an agent behind a slow line, with a full queue, is not taken for one that reads nothing", async () => {
  const { far, writer, onStuck, turn } = await watched();
  for (let count = 0; count < 40; count += 1) {
    await take(far, 300_000);
    await turn();
  }
  expect(onStuck).not.toHaveBeenCalled();
  expect(writer.stats().queuedBytes).toBeGreaterThan(1_000_000);
});

it("an agent with a full queue that reads nothing is", async () => {
  const { onStuck, turn } = await watched();
  for (let count = 0; count < 25; count += 1) await turn();
  expect(onStuck).toHaveBeenCalledTimes(1);
});
