import { createServer as createHttpServer, type IncomingMessage } from "node:http";
import {
  connect as connectHttp2,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
} from "node:http2";
import { connect, createServer, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { expect, it, onTestFinished } from "vitest";
import type { PublicDevice, WebLimits } from "@culvert/relay/web";
import { millis, TransportError } from "@culvert/runtime";
import { duplexPair } from "@culvert/testkit";
import {
  listenForTest,
  LocalDevice,
  makeCertificate,
  useEntrance,
  useSite,
  type EntranceUnderTest,
} from "./support/public-entrance.ts";
import { waitUntil } from "./support/wait.ts";

const name = "app.example.com";
const get = `GET / HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`;
const upgrade =
  `GET /ws HTTP/1.1\r\nHost: ${name}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
  `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;

it("a status that no HTTP knows is the device's fault: 502, to requests and to WebSockets", async () => {
  for (const status of ["099", "000", "150"]) {
    const { http, https } = await useDevice((socket) => {
      socket.end(`HTTP/1.1 ${status} Odd\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    });
    for (const request of [get, upgrade]) {
      expect(await ask(http, request), `${status} ${request}`).toMatch(/^HTTP\/1.1 502 /);
    }
    const { session } = http2(https);
    expect(await http2Status(session)).toBe(502);
  }
});

it("a WebSocket that a device neither opens nor refuses ends with the time-out of silence", async () => {
  let gone = false;
  const { http } = await useDevice((socket) => void socket.once("close", () => (gone = true)), {
    idleTimeout: millis(300),
  });
  const socket = dial(http, upgrade);
  await waitUntil("the end at both ends", () => socket.closed && gone);
});

it("a stream that was cut before it could be used is the device's fault, and is asked for anew where that does no harm", async () => {
  const { http, https, add } = await useNamed(1);
  let opened = 0;
  let cut = true;
  const site = await useSite(() => "here");
  const living = new LocalDevice("lan-box", site.port);
  const device: PublicDevice = {
    name: "lan-box",
    connected: true,
    async open(connection) {
      opened += 1;
      if (!cut) return living.open(connection);
      const [stream] = duplexPair();
      stream.destroy(new TransportError("stream_reset", "the service has reset"));
      await waitUntil("the end of the stream", () => stream.closed);
      return stream;
    },
  };
  add("cut.example.com", device);
  const at = (text: string): string => text.replace(name, "cut.example.com");
  const post = at(
    `POST / HTTP/1.1\r\nHost: ${name}\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx`,
  );
  for (const [request, attempts] of [
    [at(get), 5],
    [at(upgrade), 5],
    [post, 1],
  ] as const) {
    opened = 0;
    expect(await ask(http, request)).toMatch(/^HTTP\/1.1 502 /);
    expect(opened, request).toBe(attempts);
  }
  const asked = ask(http, at(get));
  opened = 0;
  await waitUntil("the first attempt", () => opened === 1);
  cut = false;
  expect(await asked).toMatch(/^HTTP\/1.1 200 [^]*here/);
  cut = true;
  add("raw.example.com", device, { tls: "pass" });
  const raw = connectTls({ port: https, host: "127.0.0.1", servername: "raw.example.com" });
  onTestFinished(() => void raw.destroy());
  raw.on("error", () => undefined);
  await waitUntil("the reset", () => raw.closed);
});

it("an upload that its client cuts off does not look whole to the device", async () => {
  const bodies: { readonly request: IncomingMessage; bytes: number }[] = [];
  const server = createHttpServer((request) => {
    const body = { request, bytes: 0 };
    bodies.push(body);
    request.on("error", () => undefined);
    request.on("data", (chunk: Buffer) => (body.bytes += chunk.length));
  });
  const entrance = await useNamed(await listenForTest(server));
  const cuts: ((stream: ClientHttp2Stream, socket: Socket) => void)[] = [
    (stream) => {
      // Node's own client would end the body before it resets the stream.
      stream.end = () => stream;
      stream.close(constants.NGHTTP2_CANCEL);
    },
    (stream) => stream.destroy(new Error("changed my mind")),
    (stream) => stream.session?.destroy(),
    (_stream, socket) => socket.destroy(),
    (_stream, socket) => socket.end(),
  ];
  for (const [index, cut] of cuts.entries()) {
    bodies.length = 0;
    const { session, socket } = http2(entrance.https);
    const stream = session.request({ ":method": "POST", ":path": "/", ":authority": name });
    stream.on("error", () => undefined);
    stream.write("half of it");
    await waitUntil("the first half", () => bodies[0]?.bytes === 10);
    cut(stream, socket);
    await waitUntil("the end", () => bodies[0]?.request.destroyed === true);
    expect(bodies[0]?.request.complete, `cut ${index}`).toBe(false);
  }
  bodies.length = 0;
  const socket = dial(
    entrance.http,
    `POST / HTTP/1.1\r\nHost: ${name}\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhalf of it\r\n`,
  );
  await waitUntil("the first half", () => bodies[0]?.bytes === 10);
  socket.end();
  await waitUntil("the end", () => bodies[0]?.request.destroyed === true);
  expect(bodies[0]?.request.complete).toBe(false);
});

async function useDevice(
  serve: (socket: Socket) => void,
  limits: Partial<WebLimits> = {},
): Promise<EntranceUnderTest> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => serve(socket));
    onTestFinished(() => void socket.destroy());
  });
  return useNamed(await listenForTest(server), limits);
}

async function useNamed(port: number, limits: Partial<WebLimits> = {}): Promise<EntranceUnderTest> {
  const certificate = await makeCertificate([name]);
  const entrance = await useEntrance({ certificates: [certificate], limits });
  entrance.add(name, new LocalDevice("lan-box", port));
  return entrance;
}

function dial(port: number, text: string): Socket {
  const socket = connect(port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => undefined);
  socket.resume();
  socket.write(text);
  return socket;
}

async function ask(port: number, text: string): Promise<string> {
  const socket = dial(port, text);
  let heard = "";
  socket.on("data", (chunk: Buffer) => (heard += chunk.toString("latin1")));
  await waitUntil("the answer and its end", () => socket.closed);
  return heard;
}

function http2(port: number): { session: ClientHttp2Session; socket: Socket } {
  const socket = connectTls({
    ...{ port, host: "127.0.0.1", servername: name },
    ...{ ALPNProtocols: ["h2"], rejectUnauthorized: false },
  });
  const session = connectHttp2(`https://${name}:${port}`, { createConnection: () => socket });
  session.on("error", () => undefined);
  onTestFinished(() => session.destroy());
  return { session, socket };
}

async function http2Status(session: ClientHttp2Session): Promise<number | undefined> {
  const stream = session.request({ ":path": "/", ":authority": name });
  let status: number | undefined;
  stream.on("error", () => undefined);
  stream.on("response", (fields) => (status = fields[":status"]));
  stream.resume();
  await waitUntil("the answer", () => stream.closed);
  return status;
}
