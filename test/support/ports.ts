import { createSocket } from "node:dgram";
import { randomInt } from "node:crypto";
import { createServer } from "node:net";

// Below the range from which Linux takes ports for outgoing connections (32,768 up), so that no connection takes one in between.
const lowest = 20_000;
const highest = 32_000;
const handedOut = new Set<number>();

/** A port of 127.0.0.1 that is free for TCP and UDP, and so are the ports `offsets` above it; none is handed out twice. */
export async function freePort(offsets: readonly number[] = []): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const port = randomInt(lowest, highest);
    const wanted = [port, ...offsets.map((offset) => port + offset)];
    if (wanted.some((each) => handedOut.has(each))) continue;
    const free = await Promise.all(wanted.map(isFree));
    if (!free.every(Boolean)) continue;
    for (const each of wanted) handedOut.add(each);
    return port;
  }
  throw new Error(`no free port between ${lowest} and ${highest}`);
}

async function isFree(port: number): Promise<boolean> {
  return (await tcpFree(port)) && (await udpFree(port));
}

function tcpFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => {
      resolve(false);
    });
    server.listen(port, "127.0.0.1", () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}

function udpFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket("udp4");
    socket.once("error", () => {
      socket.close();
      resolve(false);
    });
    socket.bind(port, "127.0.0.1", () => {
      socket.close(() => {
        resolve(true);
      });
    });
  });
}
