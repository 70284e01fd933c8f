import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { run } from "./support/child.ts";
import { culvertPath } from "./support/culvert.ts";
import { connectTcp, TestServer } from "./support/tcp.ts";
import { useTrial, type Trial } from "./support/trial.ts";
import { waitUntil } from "./support/wait.ts";

const payload = randomBytes(5_000_000);
const hash = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

interface Received {
  bytes: Buffer[];
  ending: "open" | "end" | "reset";
}

/** A target that says all it has to say at once, and then listens to the end. */
async function useHalfClosingTarget(trial: Trial): Promise<Received[]> {
  const received: Received[] = [];
  const server = new TestServer((socket: Socket) => {
    const one: Received = { bytes: [], ending: "open" };
    received.push(one);
    socket.on("data", (chunk: Buffer) => one.bytes.push(chunk));
    socket.once("end", () => (one.ending = "end"));
    socket.on("error", () => (one.ending = "reset"));
    socket.end("all I have to say\n");
  });
  await server.listen(trial.targetPort);
  onTestFinished(() => server.close());
  return received;
}

async function startTrial(engine: "quiche" | "quinn"): Promise<Trial> {
  const trial = await useTrial();
  for (const role of ["relay", "server", "client"] as const) {
    await trial.edit(role, (config) => {
      config["quic"] = { engine };
    });
  }
  await trial.start();
  await trial.attached();
  return trial;
}

async function expectAll(received: Received[], index: number): Promise<void> {
  await waitUntil("the end at the target", () => received[index]?.ending !== "open");
  expect(received[index]?.ending).toBe("end");
  expect(hash(Buffer.concat(received[index]?.bytes ?? []))).toBe(hash(payload));
}

for (const engine of ["quiche", "quinn"] as const) {
  it(`culvert connect loses nothing that was sent after the other direction had ended, ${engine}`, async () => {
    const trial = await startTrial(engine);
    const received = await useHalfClosingTarget(trial);
    const file = trial.path("payload");
    await writeFile(file, payload);
    const command = `"${process.execPath}" "${culvertPath}" connect lan-box:${trial.targetPort} --config "${trial.configFile("client")}"`;
    for (const [index, output] of ["| cat", `> "${file}.out"`, "> /dev/null", "| cat"].entries()) {
      const result = await run("sh", ["-c", `cat "${file}" | ${command} ${output}`], {
        timeoutMs: 30_000,
      });
      expect(result.stderr).toBe("");
      expect(result.code).toBe(0);
      await expectAll(received, index);
    }
  });

  for (const role of ["client", "server", "relay"] as const) {
    it(`a ${role} that drains loses nothing of a connection that has ended, ${engine}`, async () => {
      const trial = await startTrial(engine);
      const received = await useHalfClosingTarget(trial);
      const socket = await connectTcp(trial.listenPort);
      socket.resume();
      await once(socket, "end");
      socket.end(payload);
      await waitUntil("some bytes at the target", () => (received[0]?.bytes.length ?? 0) > 0);
      trial.daemon(role).child.signal("SIGTERM");
      await expectAll(received, 0);
    });
  }
}
