import type { Socket } from "node:net";
import { describe, expect, it, onTestFailed, onTestFinished } from "vitest";
import { freePort } from "../../support/ports.ts";
import { connectTcp, digest, ending, sendRandom, TestServer } from "../../support/tcp.ts";
import { endWithTest } from "../../support/temp-folder.ts";
import { waitUntil, within } from "../../support/wait.ts";
import { AgentProcess } from "./agent-process.ts";
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

interface Pair {
  readonly near: AgentProcess;
  readonly far: AgentProcess;
  /** A listener of the near agent that leads to the server behind the far one. */
  readonly host: string;
  readonly port: number;
  /** The same for a port behind the far agent where nobody listens. */
  readonly portOfNobody: number;
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

/** Only the near agent has listeners of its own, so that both can live on one machine. */
async function usePair(
  near: Program,
  far: Program,
  onConnection: ConstructorParameters<typeof TestServer>[0],
): Promise<Pair> {
  const server = await new TestServer(onConnection).listen();
  onTestFinished(() => server.close());
  const [port, portOfNobody, nobody] = [await freePort(), await freePort(), await freePort()];
  const [nearIp, farIp] = ["127.0.42.11", "127.0.42.12"];
  const forward = (listen: number, connect: number): object => ({
    listen_port: listen,
    connect_ip: "127.0.0.1",
    connect_port: connect,
    proto: "tcp",
  });
  const nearAgent = useAgent(near, {
    me: nearIp,
    others: [port, portOfNobody].map((each) => ({ ip: farIp, port: each, proto: "tcp" })),
  });
  const farAgent = useAgent(far, {
    me: farIp,
    forwards: [forward(port, server.port), forward(portOfNobody, nobody)],
    loopback: { disable: true },
  });
  nearAgent.child.stdout.pipe(farAgent.child.stdin);
  farAgent.child.stdout.pipe(nearAgent.child.stdin);
  for (const each of [port, portOfNobody]) {
    await waitUntil("the near agent's listener", async () => {
      if (!nearAgent.child.running) throw new Error(nearAgent.log);
      (await connectTcp(each, 1_000, farIp)).destroy();
      return true;
    });
  }
  return { near: nearAgent, far: farAgent, host: farIp, port, portOfNobody };
}

function useAgent(program: Program, args: object): AgentProcess {
  const config = { http: {}, socks: {}, loopback: {}, stateDir: { disable: true }, ...args };
  const agent = new AgentProcess(program, {
    flags: ["--debug-init-config", JSON.stringify(config)],
  });
  endWithTest(agent.child);
  onTestFailed(() => {
    console.error(`${program.name}: ${agent.log.slice(-4_000)}`);
  });
  return agent;
}
