import {
  connect,
  createServer as createTcpServer,
  type AddressInfo,
  type Server,
  type Socket,
} from "node:net";
import { onTestFinished } from "vitest";
import { systemClock } from "@culvert/runtime";
import { osDial } from "../net/os-dial.ts";
import { OsListener } from "../net/os-listener.ts";
import { agentDefaults } from "../agent-defaults.ts";
import { recordedLog } from "../agent-under-test.test-data.ts";
import type { ProxyNetwork } from "./proxy-network.ts";

/** Lets a server listen on loopback until the test has finished; returns its port. */
export async function listening(server: Server): Promise<number> {
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    open.add(socket);
    socket.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

/** A port where nobody listens. */
export async function closedPort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A proxy on loopback, for which `web` is a host of the virtual network and all else is the system's. */
export async function proxyOn(
  make: (deps: {
    readonly network: ProxyNetwork;
    readonly clock: typeof systemClock;
    readonly log: ReturnType<typeof recordedLog>["log"];
  }) => { serve(socket: Socket): void },
  { isInteresting = (host) => Promise.resolve(host === "web") }: Partial<ProxyNetwork> = {},
) {
  const dialled: string[] = [];
  const dial = (kind: string) => (host: string, port: number, signal: AbortSignal) => {
    dialled.push(`${kind} ${host}:${port}`);
    const limits = { clock: systemClock, limit: agentDefaults.dialTimeout, signal };
    return osDial(kind === "mesh" ? "127.0.0.1" : host, port, limits);
  };
  const network: ProxyNetwork = {
    isInteresting,
    dialMesh: dial("mesh"),
    dialSystem: dial("system"),
  };
  const { log, lines } = recordedLog();
  const proxy = make({ network, clock: systemClock, log });
  const listener = await OsListener.open({
    name: "proxy",
    host: "127.0.0.1",
    port: 0,
    log,
    onConnection: (socket) => proxy.serve(socket),
  });
  onTestFinished(() => listener.close());
  return { port: Number(listener.address.split(":")[1]), dialled, lines };
}

/** A look-up that takes until it is told to go on; `asked` has the signal of each. */
export function slowLookup() {
  const asked: AbortSignal[] = [];
  let answer: (() => void) | undefined;
  const isInteresting = (_host: string, signal: AbortSignal): Promise<boolean> => {
    asked.push(signal);
    return new Promise((resolve) => (answer = () => resolve(true)));
  };
  return { asked, isInteresting, goOn: () => answer?.() };
}

/** Says `text` to a port and returns all that is answered until the other end ends. */
export function sayTo(port: number, text: string | Uint8Array, half = false): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    onTestFinished(() => void socket.destroy());
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", reject);
    socket.on("end", () => {
      resolve(Buffer.concat(chunks).toString("latin1"));
      socket.end();
    });
    if (half) socket.end(text);
    else socket.write(text);
  });
}
