import { once } from "node:events";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { millis, systemClock, systemRandom, type Random } from "@culvert/runtime";
import { Netstack } from "@culvert/netstack";
import { encodeFrame, FrameDecoder, frameType } from "@culvert/wire";
import { describe, expect, it, onTestFailed, onTestFinished } from "vitest";
import { Child } from "../../support/child.ts";
import { digest, echoServer, sendRandom, TestServer } from "../../support/tcp.ts";
import { endWithTest } from "../../support/temp-folder.ts";
import { timed, waitUntil, within } from "../../support/wait.ts";
import { realProgram } from "./program.ts";

const real = realProgram();
const mebibyte = 1024 * 1024;
const agentIp = "127.0.42.31";
const ownIp = "127.0.42.32";
const forwardedPort = 8091;

const links = [
  { title: "packets of 65,535 bytes", mtu: 65_535, lossPercent: 0, bytes: 64 * mebibyte },
  { title: "packets of 1,500 bytes", mtu: 1_500, lossPercent: 0, bytes: 16 * mebibyte },
  { title: "packets of 1,500 bytes, 2 % lost", mtu: 1_500, lossPercent: 2, bytes: 4 * mebibyte },
  { title: "packets of 65,535 bytes, 2 % lost", mtu: 65_535, lossPercent: 2, bytes: 16 * mebibyte },
] as const;

describe.skipIf(real === undefined)("our netstack and the real agent's", () => {
  for (const { title, mtu, lossPercent, bytes } of links) {
    it(`echo through a connection that we open: ${title}`, async () => {
      const host = await useHost(mtu, lossPercent);
      const { tookMs } = await timed(async () => {
        const connection = await host.stack.connect({ address: agentIp, port: forwardedPort });
        await echo(connection, bytes);
      });
      report(`${title}, both ways at once through the agent's forward`, bytes, tookMs);
    });

    it(`echo through a connection that it opens: ${title}`, async () => {
      const host = await useHost(mtu, lossPercent);
      host.stack.listen({ port: forwardedPort }, {}, (connection) => {
        connection.on("error", () => undefined);
        connection.pipe(connection);
      });
      const { tookMs } = await timed(async () => {
        const socket = connect({ host: ownIp, port: host.port, allowHalfOpen: true });
        onTestFinished(() => {
          socket.destroy();
        });
        await echo(socket, bytes);
      });
      report(`${title}, both ways at once through the agent's listener`, bytes, tookMs);
    });
  }

  it("a hundred connections at once, each way", async () => {
    const host = await useHost(65_535, 0);
    host.stack.listen({ port: forwardedPort }, { backlog: 128 }, (connection) => {
      connection.on("error", () => undefined);
      connection.pipe(connection);
    });
    const connections = Array.from({ length: 100 }, async (_, index) => {
      if (index % 2 === 0) return host.stack.connect({ address: agentIp, port: forwardedPort });
      return connect({ host: ownIp, port: host.port, allowHalfOpen: true });
    });
    await Promise.all(connections.map(async (each) => echo(await each, 100_000)));
    await waitUntil("no connection is left but in TIME_WAIT", () => {
      const { connections, timeWait } = host.stack.stats().tcp;
      return connections === timeWait;
    });
  });

  it("two hundred connections in a row from one port to an agent that ends each first, and still remembers it", async () => {
    const host = await useHost(65_535, 0, endingServer);
    const durationsMs: number[] = [];
    for (let count = 0; count < 200; count += 1) {
      const { tookMs } = await timed(async () => {
        const connection = await host.stack.connect(
          { address: agentIp, port: forwardedPort },
          { local: { port: 40_000 }, timeoutMs: millis(10_000) },
        );
        let said = "";
        connection.on("data", (chunk: Buffer) => (said += chunk.toString()));
        await within(10_000, "the end", once(connection, "end"));
        expect(said).toBe("bye");
        connection.end();
        await within(10_000, "its close", once(connection, "close"));
      });
      durationsMs.push(tookMs);
    }
    // A connection that is refused once comes a second later at the earliest, when SYN is sent again.
    expect(Math.max(...durationsMs)).toBeLessThan(1_000);
  });
});

interface Host {
  readonly stack: Netstack;
  /** Where the agent listens for connections to {@link ownIp}. */
  readonly port: number;
}

/** A stack at {@link ownIp} with nothing but a real agent on the other side of its link. */
async function useHost(
  mtu: number,
  lossPercent: number,
  startServer: () => Promise<TestServer> = () => echoServer(0),
): Promise<Host> {
  const server = await startServer();
  onTestFinished(() => server.close());
  const [program = "", ...words] = real?.command ?? [];
  const agent = new Child(program, [...words, "agent", "--automated"]);
  endWithTest(agent);
  let log = "";
  agent.stderr.on("data", (chunk: Buffer) => (log += chunk.toString()));
  onTestFailed(() => {
    console.error(log.slice(-3_000));
  });
  const isLost = lossBy(systemRandom, lossPercent);
  const stack = new Netstack({
    clock: systemClock,
    random: systemRandom,
    addresses: [ownIp],
    mtu,
    output: (packet) => {
      if (!isLost()) agent.stdin.write(encodeFrame(frameType.l3, packet));
    },
  });
  onTestFailed(() => {
    console.error(JSON.stringify(stack.stats()));
  });
  const decoder = new FrameDecoder();
  let configured = (): void => undefined;
  const ready = new Promise<void>((resolve) => (configured = resolve));
  agent.stdout.on("data", (chunk: Buffer) => {
    for (const each of decoder.push(chunk)) {
      if (each.type === frameType.json) configured();
      else if (!isLost()) stack.receive(Uint8Array.from(each.payload));
    }
  });
  // The agent listens on the address of the other host at the port that the other host is asked for.
  const args = {
    me: agentIp,
    forwards: [
      {
        listen_port: forwardedPort,
        connect_ip: "127.0.0.1",
        connect_port: server.port,
        proto: "tcp",
      },
    ],
    others: [{ ip: ownIp, port: forwardedPort, proto: "tcp" }],
    http: {},
    socks: {},
    loopback: {},
    stateDir: { disable: true },
  };
  const message = { type: "request", body: { id: 1, op: "configure", args } };
  agent.stdin.write(encodeFrame(frameType.json, Buffer.from(JSON.stringify(message))));
  await within(10_000, "the agent's result", ready);
  return { stack, port: forwardedPort };
}

/** Says three bytes and ends. */
function endingServer(): Promise<TestServer> {
  return new TestServer((socket) => socket.resume().end("bye")).listen();
}

function lossBy(random: Random, percent: number): () => boolean {
  if (percent === 0) return () => false;
  return () => random.fraction() * 100 < percent;
}

async function echo(stream: Duplex, bytes: number): Promise<void> {
  stream.on("error", () => undefined);
  const [sent, back] = await within(
    60_000,
    "the echo",
    Promise.all([sendRandom(stream, bytes), digest(stream)]),
  );
  expect(back).toEqual(sent);
}

function report(title: string, bytes: number, tookMs: number): void {
  console.log(`${title}: ${(bytes / mebibyte / (tookMs / 1000)).toFixed(1)} MiB/s`);
}
