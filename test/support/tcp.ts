import { createHash, randomBytes } from "node:crypto";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { within } from "./wait.ts";

/** A TCP server of a test, with the sockets it holds. */
export class TestServer {
  readonly sockets = new Set<Socket>();
  /** Connections taken since the start. */
  accepted = 0;
  readonly #server: Server;

  constructor(onConnection: (socket: Socket) => void) {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.accepted += 1;
      this.sockets.add(socket);
      socket.on("error", () => undefined);
      socket.once("close", () => this.sockets.delete(socket));
      onConnection(socket);
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async listen(port = 0, host = "127.0.0.1"): Promise<this> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ port, host, backlog: 4096 }, () => {
        resolve();
      });
    });
    return this;
  }

  /** Ends every connection and frees the port. */
  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
  }
}

/** Sends back what it gets, `prefix` first; ends when the other side ends. */
export function echoServer(port: number, prefix = ""): Promise<TestServer> {
  return new TestServer((socket) => {
    if (prefix !== "") socket.write(prefix);
    socket.pipe(socket);
  }).listen(port);
}

/** What a whole direction carried. */
export interface Digest {
  readonly bytes: number;
  readonly sha256: string;
}

/** Reads until the other side ends, keeping only the hash; tells `progress` how much has come. Rejects on a reset. */
export async function digest(
  stream: NodeJS.ReadableStream,
  progress?: (bytes: number) => void,
): Promise<Digest> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
    progress?.(bytes);
  }
  return { bytes, sha256: hash.digest("hex") };
}

/** Writes `bytes` random bytes with back-pressure, ends the direction and gives what was sent. */
export async function sendRandom(
  stream: NodeJS.WritableStream,
  bytes: number,
  chunkBytes = 256 * 1024,
): Promise<Digest> {
  const hash = createHash("sha256");
  let left = bytes;
  while (left > 0) {
    const chunk = randomBytes(Math.min(left, chunkBytes));
    hash.update(chunk);
    left -= chunk.length;
    if (!stream.write(chunk)) await drained(stream);
  }
  stream.end();
  return { bytes, sha256: hash.digest("hex") };
}

function drained(stream: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve, reject) => {
    const onDrain = (): void => {
      stream.off("close", onClose);
      resolve();
    };
    const onClose = (): void => {
      stream.off("drain", onDrain);
      reject(new Error("closed while writing"));
    };
    stream.once("drain", onDrain);
    stream.once("close", onClose);
  });
}

/** Connects; resolves with the open socket, half-open allowed, or rejects within `ms`. */
export async function connectTcp(port: number, ms = 5_000, host = "127.0.0.1"): Promise<Socket> {
  const socket = connect({ port, host, allowHalfOpen: true, noDelay: true });
  const opened = new Promise<void>((resolve, reject) => {
    socket.once("connect", () => {
      resolve();
    });
    socket.once("error", reject);
  });
  try {
    await within(ms, `connect to ${host}:${port}`, opened);
  } catch (error) {
    socket.destroy();
    throw error;
  }
  socket.on("error", () => undefined);
  return socket;
}

/** How a connection was over for its user: the other side's end, or a reset. */
export type Ending = "end" | "reset";

/** Waits for the other side to end or reset the connection, reading and dropping what still comes. */
export function ending(socket: Socket, ms: number): Promise<Ending> {
  if (socket.readableEnded) return Promise.resolve("end");
  if (socket.destroyed) return Promise.resolve("reset");
  const over = new Promise<Ending>((resolve) => {
    socket.once("end", () => {
      resolve("end");
    });
    socket.once("error", () => {
      resolve("reset");
    });
    socket.once("close", () => {
      resolve("reset");
    });
    socket.resume();
  });
  return within(ms, "the close that the TCP client must see", over);
}

/** Reads exactly `bytes` bytes and leaves the rest; rejects when the stream is over first. */
export async function readExactly(
  socket: Socket,
  bytes: number,
  ms: number,
  what = `${bytes} bytes`,
): Promise<Buffer> {
  const parts: Buffer[] = [];
  let have = 0;
  const all = new Promise<Buffer>((resolve, reject) => {
    const onOver = (): void => {
      stop();
      reject(new Error(`over after ${have} of ${bytes} bytes: ${what}`));
    };
    const onReadable = (): void => {
      while (have < bytes) {
        const part = socket.read(Math.min(bytes - have, socket.readableLength)) as Buffer | null;
        if (part === null) return;
        parts.push(part);
        have += part.length;
      }
      stop();
      resolve(Buffer.concat(parts));
    };
    const stop = (): void => {
      socket.off("readable", onReadable).off("end", onOver).off("close", onOver);
    };
    socket.on("readable", onReadable).on("end", onOver).on("close", onOver);
    onReadable();
  });
  return within(ms, what, all);
}

/** One good connection to an echo server: connects, sends a line of its own, has it back, closes both ways. */
export async function echoOnce(port: number, ms = 2_000): Promise<void> {
  const socket = await connectTcp(port, ms);
  try {
    const line = Buffer.from(`${randomBytes(16).toString("hex")}\n`);
    socket.write(line);
    const back = await readExactly(socket, line.length, ms, "echo of a line");
    if (!back.equals(line)) throw new Error(`echoed ${back.toString()} for ${line.toString()}`);
    socket.end();
    if ((await ending(socket, ms)) !== "end") throw new Error("reset instead of an end");
  } finally {
    socket.destroy();
  }
}
