import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { expect, it, onTestFinished } from "vitest";
import type { NamePolicy, PublicDevice } from "@culvert/relay/web";
import { millis } from "@culvert/runtime";
import { LocalDevice, useEntrance, useSite } from "./support/public-entrance.ts";
import { waitUntil, within } from "./support/wait.ts";

const refused = "culvert_relay_public_refused_total";

it("a ClientHello that trickles, and silence, end at the deadline with a counted reason, and others are served meanwhile", async () => {
  const { https, http, metric, add } = await useEntrance({ limits: { headDeadline: millis(400) } });
  const { port } = await useSite();
  add("app.example.com", new LocalDevice("lan-box", port));
  const silent = dial(https);
  const slowHello = dial(https);
  slowHello.socket.write(Buffer.from([22, 3, 1, 2, 0, 1, 0]));
  const slowHead = dial(http);
  slowHead.socket.write("GET / HTTP/1.1\r\nHost: app.exa");
  expect(
    await ask(http, "GET / HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n\r\n"),
  ).toMatch(/^HTTP\/1.1 200/);
  expect(await silent.all()).toBe("");
  expect(await slowHello.all()).toBe("");
  expect(await slowHead.all()).toMatch(/^HTTP\/1.1 408 /);
  expect(await metric(refused, { reason: "slow_head" })).toBe(3);
  await waitUntil("the places to be free", async () => {
    return (await metric("culvert_relay_public_handshakes")) === 0;
  });
});

it("a TLS handshake that stops, and a later head that trickles, end too", async () => {
  const { https, http, metric, add } = await useEntrance({ limits: { headDeadline: millis(400) } });
  const { port } = await useSite();
  add("app.example.com", new LocalDevice("lan-box", port));
  // A whole ClientHello of TLS 1.2, after which the client says nothing more.
  const hello = await clientHello("app.example.com");
  const stopped = dial(https);
  stopped.socket.write(hello);
  await stopped.all();
  expect(await metric(refused, { reason: "slow_tls" })).toBe(1);
  const second = dial(http);
  second.socket.write("GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n");
  await waitUntil("the first answer", () => second.received().includes("HTTP/1.1 200"));
  second.socket.write("GET / HTTP/1.1\r\nHost: app.exa");
  expect(await second.all()).toMatch(/HTTP\/1.1 408 /);
});

it("connections in their handshake are bounded in all and for each address", async () => {
  const each = await useEntrance({ limits: { handshakesPerAddress: 5 } });
  const dials = Array.from({ length: 8 }, () => dial(each.https));
  await waitUntil("the refusals", async () => {
    return (await each.metric(refused, { reason: "handshakesPerAddress" })) === 3;
  });
  expect(await each.metric("culvert_relay_public_handshakes")).toBe(5);
  for (const { socket } of dials) socket.destroy();
  await waitUntil("the places to be free", async () => {
    return (await each.metric("culvert_relay_public_connections")) === 0;
  });
  const inAll = await useEntrance({ limits: { connections: 2 } });
  for (let count = 0; count < 3; count += 1) dial(inAll.http);
  await waitUntil("the refusal", async () => {
    return (await inAll.metric(refused, { reason: "connections" })) === 1;
  });
});

it("requests that two readers could read differently reach no device", async () => {
  const { http, add } = await useEntrance();
  const { port } = await useSite();
  const device = new LocalDevice("lan-box", port);
  add("app.example.com", device);
  const host = "Host: app.example.com\r\n";
  for (const request of [
    `POST / HTTP/1.1\r\n${host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n${host}\r\n`,
    `POST / HTTP/1.1\r\n${host}Content-Length: 5\r\nContent-Length: 6\r\n\r\n123456`,
    `POST / HTTP/1.1\r\n${host}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
    `POST / HTTP/1.1\r\n${host}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}Host: other.example.com\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host} X: folded\r\n\r\n`,
    `GET / HTTP/1.1\n${host}\n`,
    `GET http://other.example.com/ HTTP/1.1\r\n${host}\r\n`,
    `GET / HTTP/1.1\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: evil,tcp,.app.example.com\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: app.example.com@other.example.com\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}X: a\0b\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 4\r\n\r\nGET `,
    "SSH-2.0-OpenSSH_9.2\r\n",
  ]) {
    expect((await ask(http, request)).split(" ")[1], JSON.stringify(request)).toBe("400");
  }
  expect(device.opened).toHaveLength(0);
});

it("a second request behind a sound first one is judged by itself", async () => {
  const { http, add } = await useEntrance();
  const mine = await useSite(() => "mine");
  const yours = await useSite(() => "yours");
  add("mine.example.com", new LocalDevice("a", mine.port));
  add("yours.example.com", new LocalDevice("b", yours.port));
  const answers = await ask(
    http,
    [
      "GET / HTTP/1.1\r\nHost: mine.example.com\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: yours.example.com\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: nobodys.example.com\r\nConnection: close\r\n\r\n",
    ].join(""),
  );
  expect(answers.match(/HTTP\/1.1 \d+|mine$|yours$/gm)).toEqual([
    "HTTP/1.1 200",
    "HTTP/1.1 200",
    "HTTP/1.1 404",
  ]);
  expect(answers.indexOf("mine")).toBeLessThan(answers.indexOf("yours"));
});

it("an upgrade to anything but a WebSocket is an ordinary request to the device", async () => {
  const { http, add } = await useEntrance();
  const { port } = await useSite();
  add("app.example.com", new LocalDevice("lan-box", port));
  const answer = await ask(
    http,
    "GET /x HTTP/1.1\r\nHost: app.example.com\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n",
  );
  expect(answer).toMatch(/^HTTP\/1.1 200/);
  expect(answer).toContain('"url":"/x"');
  expect(answer.toLowerCase()).not.toContain("h2c");
});

it("a header over the limit is told 431, by HTTP/1.1 at once, later, and over TLS", async () => {
  const { http, https, add, metric } = await useEntrance();
  const { port } = await useSite();
  add("app.example.com", new LocalDevice("lan-box", port));
  const head = "GET / HTTP/1.1\r\nHost: app.example.com\r\n";
  const huge = `${head}X: ${"y".repeat(200_000)}\r\n\r\n`;
  expect(await ask(http, huge)).toMatch(/^HTTP\/1.1 431 /);
  const second = asked(connect(http, "127.0.0.1"), `${head}\r\n`);
  await waitUntil("the first answer", () => second.received().includes("HTTP/1.1 200"));
  second.socket.write(huge);
  expect(await second.all()).toMatch(/HTTP\/1.1 200 [^]*HTTP\/1.1 431 /);
  const tls = connectTls({
    port: https,
    host: "127.0.0.1",
    servername: "app.example.com",
    rejectUnauthorized: false,
  });
  expect(await asked(tls, huge).all()).toMatch(/^HTTP\/1.1 431 /);
  expect(await metric(refused, { reason: "head_too_large" })).toBe(3);
});

it("names made to break frames are refused before any device hears of them; the longest sound name passes whole", async () => {
  const { https, http, add, metric } = await useEntrance();
  const { port } = await useSite();
  const device = new LocalDevice("lan-box", port);
  add("*.example.com", device, { tls: "pass" });
  const longest = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(49)}.example.com`;
  expect(longest).toHaveLength(253);
  for (const name of [
    "evil,tcp,.example.com",
    "a\r\n.example.com",
    `${"a".repeat(215)}.example.com`,
  ]) {
    const { socket, all } = dial(https);
    socket.write(await clientHello(name));
    expect(Buffer.from(await all(), "latin1")).toEqual(Buffer.from([21, 3, 3, 0, 2, 2, 50]));
    expect(await ask(http, `GET / HTTP/1.1\r\nHost: ${name}\r\n\r\n`)).toMatch(/^HTTP\/1.1 400 /);
  }
  expect(device.opened).toHaveLength(0);
  expect(await metric(refused, { reason: "bad_hello" })).toBe(3);
  for (const name of [
    longest,
    `${"a".repeat(60)}.${"b".repeat(60)}.${"c".repeat(60)}.${"d".repeat(32)}.example.com`,
  ]) {
    dial(https).socket.write(await clientHello(name));
    await waitUntil("the device to hear of it", () => device.opened.at(-1)?.name === name);
  }
  const unknown = dial(https);
  unknown.socket.write(await clientHello("nobody.example.org"));
  expect(Buffer.from(await unknown.all(), "latin1")).toEqual(Buffer.from([21, 3, 3, 0, 2, 2, 112]));
});

it("10,000 names are found as fast as one, and one more is refused", async () => {
  const { entrance, add, http } = await useEntrance({
    limits: { names: 10_000, namesPerDevice: 10_000 },
  });
  const { port } = await useSite(() => "found");
  const device = new LocalDevice("lan-box", port);
  for (let index = 0; index < 10_000; index += 1) add(`n${index}.example.com`, device);
  expect(() => add("one-more.example.com", device)).toThrow(/10000 names/);
  const startMs = performance.now();
  for (let index = 0; index < 10_000; index += 1) {
    if (entrance.names.next(`n${index}.example.com`)?.device !== device) throw new Error("lost");
  }
  expect(performance.now() - startMs).toBeLessThan(1_000);
  const head = "GET / HTTP/1.1\r\nHost: n9999.example.com\r\nConnection: close\r\n\r\n";
  expect(await ask(http, head)).toContain("found");
});

it(
  "2,000 connections that come, half of them reset, leave nothing behind",
  { timeout: 60_000 },
  async () => {
    const { https, metric } = await useEntrance({
      limits: { handshakes: 10_000, handshakesPerAddress: 10_000, connectionsPerAddress: 10_000 },
    });
    const hello = await clientHello("nobody.example.org");
    let ended = 0;
    for (let batch = 0; batch < 20; batch += 1) {
      const dials = Array.from({ length: 100 }, () => dial(https));
      for (const [index, { socket }] of dials.entries()) {
        socket.once("close", () => (ended += 1));
        if (index % 2 === 0) socket.once("connect", () => socket.resetAndDestroy());
        else socket.write(hello);
      }
      await waitUntil("the batch to end", () => ended === (batch + 1) * 100, { withinMs: 20_000 });
    }
    await waitUntil(
      "all to be gone",
      async () => (await metric("culvert_relay_public_connections")) === 0,
    );
    expect(await metric(refused, { reason: "unknown_name" })).toBe(1_000);
  },
);

it("a client that leaves while its device is being opened leaves no stream behind", async () => {
  const { http, add } = await useEntrance();
  let aborted = 0;
  const device: PublicDevice = {
    name: "slow",
    connected: true,
    open: (_connection, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          aborted += 1;
          reject(new Error("aborted"));
        });
      }),
  };
  const policy: NamePolicy = { tls: "end", http: "forward" };
  add("app.example.com", device, policy);
  const { socket } = dial(http);
  socket.write("GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n");
  await waitUntil("the connection", () => socket.readyState === "open");
  await waitUntil("the end", () => {
    socket.destroy();
    return aborted === 1;
  });
});

it("HTTP/2: a request with another authority is misdirected on a connection that goes on", async () => {
  const { https, add, metric } = await useEntrance();
  const { port } = await useSite(() => "mine");
  add("mine.example.com", new LocalDevice("a", port));
  add("yours.example.com", new LocalDevice("b", port));
  const session = connectHttp2(`https://mine.example.com:${https}`, {
    createConnection: () =>
      connectTls({
        port: https,
        host: "127.0.0.1",
        servername: "mine.example.com",
        ALPNProtocols: ["h2"],
        rejectUnauthorized: false,
      }),
  });
  onTestFinished(() => session.destroy());
  const status = (headers: Record<string, string>): Promise<unknown> =>
    within(
      5_000,
      "an answer",
      new Promise((resolve) => {
        const stream = session.request({ ":path": "/", ...headers });
        stream.on("error", (error: Error) => resolve(error.message));
        stream.on("response", (answer) => resolve(answer[":status"]));
        stream.resume();
      }),
    );
  expect(await status({ ":authority": "mine.example.com" })).toBe(200);
  expect(await status({ ":authority": "yours.example.com" })).toBe(421);
  const torn = await status({ ":authority": "mine.example.com", host: "yours.example.com" });
  expect(String(torn)).toMatch(/400|PROTOCOL_ERROR/);
  expect(await status({ ":authority": "mine.example.com" })).toBe(200);
  const absolute = await status({ ":authority": "mine.example.com", ":path": "http://x/" });
  expect(String(absolute)).toMatch(/400|PROTOCOL_ERROR/);
  expect(await metric(refused, { reason: "misdirected" })).toBe(1);
});

/** A connection and everything it hears. */
interface Dialled {
  readonly socket: Socket;
  readonly received: () => string;
  /** All that was heard, once the other end has closed. */
  readonly all: () => Promise<string>;
}

function dial(port: number): Dialled {
  return listenTo(connect(port, "127.0.0.1"));
}

function asked(socket: Socket, text: string): Dialled {
  const dialled = listenTo(socket);
  socket.write(Buffer.from(text, "latin1"));
  return dialled;
}

/** Sends a request and gives back all that comes until the relay closes, at most 5 seconds. */
async function ask(port: number, text: string): Promise<string> {
  const { socket, received } = asked(connect(port, "127.0.0.1"), text);
  await waitUntil(
    `an answer to ${JSON.stringify(text.slice(0, 200))} and its end`,
    () => socket.destroyed || isAnswered(received()),
  );
  socket.destroy();
  return received();
}

/** An answer of the length it says, with nothing to come behind it. */
function isAnswered(text: string): boolean {
  return /connection: close[^]*\r\n\r\n[^]*<\/html>\n$/i.test(text);
}

function listenTo(socket: Socket): Dialled {
  let text = "";
  socket.on("error", () => undefined);
  socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  onTestFinished(() => void socket.destroy());
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  return {
    socket,
    received: () => text,
    all: async () => {
      await within(8_000, "the other end to close", closed);
      return text;
    },
  };
}

/** A ClientHello as Node's own TLS client sends it, with a name of any bytes. */
async function clientHello(name: string): Promise<Buffer> {
  const placeholder = `${"p".repeat(name.length - 2)}.p`;
  const chunks: Buffer[] = [];
  const { createServer } = await import("node:net");
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const client = connectTls({ port, host: "127.0.0.1", servername: placeholder });
  client.on("error", () => undefined);
  const whole = await waitUntil("the hello", () => {
    const bytes = Buffer.concat(chunks);
    return bytes.length > 5 && bytes.length >= bytes.readUInt16BE(3) + 5 ? bytes : undefined;
  });
  client.destroy();
  server.close();
  const at = whole.indexOf(placeholder);
  Buffer.from(name, "latin1").copy(whole, at);
  return whole;
}
