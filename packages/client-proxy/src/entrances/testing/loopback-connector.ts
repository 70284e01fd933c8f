import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { tcpByteStream, type SpliceResult } from "@culvert/runtime";
import type { ConnectRequest, Connector, ForwardedConnection } from "../entrance.ts";

/** A {@link Connector} without a relay: it dials a TCP end server on this machine. Records what it was asked. */
export class LoopbackConnector implements Connector {
  readonly requests: ConnectRequest[] = [];
  readonly results: SpliceResult[] = [];
  /** Replaces dialling: a refusal, or a wait. */
  instead: ((request: ConnectRequest) => Promise<void>) | undefined;
  readonly #port: () => number;

  constructor(port: () => number) {
    this.#port = port;
  }

  async connect(request: ConnectRequest): Promise<ForwardedConnection> {
    this.requests.push(request);
    await this.instead?.(request);
    const socket = connect({ port: this.#port(), host: "127.0.0.1", allowHalfOpen: true });
    await once(socket, "connect");
    return {
      stream: tcpByteStream(socket),
      traceId: "00",
      progress: { leftToRightBytes: 0, rightToLeftBytes: 0 },
      finished: (result) => this.results.push(result),
    };
  }
}

/** A TCP end server of one test; closed with all its connections by {@link EndServer.close}. */
export interface EndServer {
  readonly port: number;
  readonly sockets: Set<Socket>;
  close(): Promise<void>;
}

/** Starts an end server on a free port of 127.0.0.1 that hands each connection, with half-close, to `serve`. */
export async function startEndServer(serve: (socket: Socket) => void): Promise<EndServer> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => sockets.delete(socket));
    serve(tcpByteStream(socket));
  });
  server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 });
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Sends back whatever comes, with half-close. */
export function echo(socket: Socket): void {
  socket.pipe(socket);
}

/** A P1: connects with half-close to `host:port` text; resolves when connected. */
export async function dial(address: string | undefined): Promise<Socket> {
  const socket = beginDial(address);
  await once(socket, "connect");
  return socket;
}

/** How a connection to `host:port` text ends that is expected to be turned away, maybe before it is seen to be open. */
export function dialOutcome(address: string | undefined): Promise<string> {
  return howItCloses(beginDial(address));
}

function beginDial(address: string | undefined): Socket {
  const match = /^\[?(.*?)\]?:(\d+)$/.exec(address ?? "");
  const host = match?.[1] ?? "";
  const socket = connect({ host, port: Number(match?.[2]), allowHalfOpen: true });
  socket.on("error", () => undefined);
  return tcpByteStream(socket);
}

/** Everything up to the end; rejects where the connection was reset. Leaves the other direction open. */
export function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  return new Promise((resolve, reject) => {
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.once("end", () => resolve(Buffer.concat(chunks)));
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("closed before its end")));
  });
}

/** The code of the error that closes the socket, or `end` where it ends well. */
export function howItCloses(socket: Socket): Promise<string> {
  socket.resume();
  return new Promise((resolve) => {
    socket.once("error", (error) => resolve("code" in error ? String(error.code) : error.message));
    socket.once("end", () => resolve("end"));
    socket.once("close", () => resolve("close"));
  });
}
