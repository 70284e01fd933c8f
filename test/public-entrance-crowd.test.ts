import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { connect as connectHttp2, type ClientHttp2Session } from "node:http2";
import { createServer as createDoor, type Server as NetServer, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { expect, it, onTestFinished } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import {
  listenForTest,
  LocalDevice,
  makeCertificate,
  useEntrance,
} from "./support/public-entrance.ts";
import { waitUntil, within } from "./support/wait.ts";

const name = "app.example.com";

it("requests that wait behind answers without end go on some seconds after the cut", async () => {
  const small = new SmallServer(4, (_request, response) => void response.writeHead(200).write("x"));
  const { https } = await useServed(small.door);
  const session = useHttp2(https);
  const answers = { heads: 0 };
  for (let index = 0; index < 8; index += 1) {
    const stream = session.request({ ":path": `/events-${index}`, ":authority": name });
    stream.on("error", () => undefined);
    stream.on("response", () => (answers.heads += 1));
  }
  await waitUntil(
    "as many answers as the server takes, and the others cut off",
    () => answers.heads === 4 && small.resets >= 4,
  );
  small.room = Infinity;
  await waitUntil("all the answers", () => answers.heads === 8, { withinMs: 10_000 });
});

it("a visitor who makes the service reset does not hold up the others", async () => {
  const slow = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    if (request.url === "/reset") request.socket.resetAndDestroy();
    else slow.add(response);
  });
  const { https } = await useServed(server);
  const hostile = { resets: 0, over: false };
  const attack = async (): Promise<void> => {
    const session = useHttp2(https, "127.0.0.2");
    while (!hostile.over && !session.destroyed) {
      const stream = session.request({ ":path": "/reset", ":authority": name });
      stream.on("error", () => undefined);
      stream.resume();
      await new Promise((resolve) => stream.once("close", resolve));
      hostile.resets += 1;
    }
  };
  for (let index = 0; index < 6; index += 1) void attack();
  await waitUntil("the attack", () => hostile.resets > 0);
  const session = useHttp2(https);
  for (let index = 0; index < 20; index += 1) {
    const stream = session.request({ ":path": `/slow-${index}`, ":authority": name });
    stream.on("error", () => undefined);
    stream.resume();
  }
  await waitUntil("all of them at once", () => slow.size === 20, { withinMs: 3_000 });
  hostile.over = true;
});

it("a WebSocket that comes among more requests than the server takes is opened all the same", async () => {
  const small = new SmallServer(5, (request, response) => {
    setTimeout(() => response.end(request.url), 20);
  });
  const sockets = new WebSocketServer({ server: small.web });
  sockets.on("connection", (socket) => socket.send("hello"));
  const { https } = await useServed(small.door);
  const session = useHttp2(https);
  const loaded: Promise<unknown>[] = [];
  for (let index = 0; index < 30; index += 1) {
    const stream = session.request({ ":path": `/asset-${index}`, ":authority": name });
    stream.resume();
    loaded.push(once(stream, "end"));
  }
  await waitUntil("a server that has enough", () => small.resets > 0);
  for (let visit = 0; visit < 3; visit += 1) {
    const socket = new WebSocket(`wss://127.0.0.1:${https}/chat`, {
      // ws hands it on to tls.connect, which its types do not say.
      ...{ servername: name },
      headers: { host: name },
      rejectUnauthorized: false,
    });
    onTestFinished(() => {
      socket.terminate();
    });
    const [said] = (await within(8_000, "its word", once(socket, "message"))) as [Buffer];
    expect(String(said)).toBe("hello");
    socket.terminate();
  }
  await within(10_000, "all assets", Promise.all(loaded));
});

/** A web server that takes a few connections at a time and resets those beyond at their first bytes, unread. */
class SmallServer {
  readonly door: NetServer;
  readonly web: Server;
  resets = 0;
  room: number;
  readonly #open = new Set<Socket>();

  constructor(room: number, answer: (request: IncomingMessage, response: ServerResponse) => void) {
    this.room = room;
    this.web = createServer(answer);
    this.door = createDoor((socket) => {
      socket.on("error", () => undefined);
      if (this.#open.size < this.room) {
        this.#open.add(socket);
        socket.once("close", () => this.#open.delete(socket));
        onTestFinished(() => {
          socket.destroy();
        });
        this.web.emit("connection", socket);
        return;
      }
      this.resets += 1;
      socket.once("data", () => socket.resetAndDestroy());
    });
  }
}

async function useServed(server: NetServer): Promise<{ readonly https: number }> {
  const certificate = await makeCertificate([name]);
  const { https, add } = await useEntrance({ certificates: [certificate] });
  add(name, new LocalDevice("lan-box", await listenForTest(server)));
  return { https };
}

/** A visitor's connection, from an address of its own where one is given. */
function useHttp2(port: number, localAddress = "127.0.0.1"): ClientHttp2Session {
  const createConnection = () =>
    connectTls({
      ...{ port, host: "127.0.0.1", localAddress, servername: name },
      ...{ ALPNProtocols: ["h2"], rejectUnauthorized: false },
    });
  const session = connectHttp2(`https://${name}`, { createConnection });
  session.on("error", () => undefined);
  onTestFinished(() => session.destroy());
  return session;
}
