import { onTestFailed, onTestFinished } from "vitest";
import { freePort } from "../../support/ports.ts";
import { connectTcp, TestServer } from "../../support/tcp.ts";
import { endWithTest } from "../../support/temp-folder.ts";
import { waitUntil } from "../../support/wait.ts";
import { AgentProcess } from "./agent-process.ts";
import type { Program } from "./program.ts";

/** Two agents on one pipe, without a manager. */
export interface Pair {
  readonly near: AgentProcess;
  readonly far: AgentProcess;
  /** A listener of the near agent that leads to the server behind the far one. */
  readonly host: string;
  readonly port: number;
  /** The same for a port behind the far agent where nobody listens. */
  readonly portOfNobody: number;
}

/**
 * Starts two agents that end with the test, and a server behind the far one. Only the near agent has listeners of its own, so that both can
 * live on one machine.
 */
export async function usePair(
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
