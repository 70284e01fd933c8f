import { createServer, get, request as httpRequest, type RequestListener } from "node:http";
import { connect as connectHttp2, type ClientHttp2Session } from "node:http2";
import { Agent, request as httpsRequest } from "node:https";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { describe, expect, it, onTestFinished } from "vitest";
import { millis, systemClock, sleep } from "@culvert/runtime";
import { logToLines } from "./support/log-lines.ts";
import {
  listenForTest,
  LocalDevice,
  makeCertificate,
  useEntrance,
  useSite,
} from "./support/public-entrance.ts";
import { waitUntil, within } from "./support/wait.ts";

const name = "app.example.com";

for (const version of ["HTTP/1.1", "HTTP/2"] as const) {
  describe(`by ${version}`, () => {
    it("the head of an answer arrives before its body, and events as they come", async () => {
      let send: ((text: string) => void) | undefined;
      const { ask } = await useServed(version, (_request, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.flushHeaders();
        send = (text) => void response.write(text);
      });
      const answer = await ask("/");
      expect(answer.status).toBe(200);
      for (const event of ["data: 1\n\n", "data: 2\n\n"]) {
        send?.(event);
        await waitUntil("the event", () => answer.text().endsWith(event));
      }
    });

    it("a server that resets what is too much for it is asked again, and not to change anything twice", async () => {
      const seen: string[] = [];
      const { ask } = await useServed(version, (request, response) => {
        seen.push(`${request.method} ${request.url}`);
        const tries = seen.filter((one) => one === seen.at(-1)).length;
        if (tries < 3) request.socket.resetAndDestroy();
        else response.end("at last");
      });
      const answer = await ask("/");
      await within(5_000, "the end", answer.ended);
      expect([answer.status, answer.text()]).toEqual([200, "at last"]);
      expect((await ask("/form", { method: "POST" })).status).toBe(502);
      expect(seen).toEqual(["GET /", "GET /", "GET /", "POST /form"]);
    });

    it("answers without a body stay without one", async () => {
      const { ask } = await useServed(version, (request, response) => {
        const status = Number(request.url?.slice(1));
        response.writeHead(status, status === 200 ? { "content-length": "12345" } : {});
        response.end();
      });
      for (const [method, status] of [
        ["HEAD", 200],
        ["GET", 204],
        ["GET", 304],
      ] as const) {
        const answer = await ask(`/${status}`, { method });
        await within(2_000, "the end", answer.ended);
        expect([answer.status, answer.text(), answer.whole()]).toEqual([status, "", true]);
      }
    });

    it("an answer that the device cuts off does not look whole", async () => {
      const { ask } = await useServed(version, (_request, response) => {
        response.write("half");
        setImmediate(() => response.socket?.resetAndDestroy());
      });
      const answer = await ask("/");
      await within(5_000, "the end", answer.ended);
      expect(answer.whole()).toBe(false);
    });

    it("a client that leaves in mid-answer ends the device's work", async () => {
      let closed = false;
      const { ask } = await useServed(version, (_request, response) => {
        response.write("begin");
        response.once("close", () => (closed = true));
      });
      const answer = await ask("/");
      answer.leave();
      await waitUntil("the device to be told", () => closed);
    });

    it("several cookies arrive as several, and fields the client may not set do not come back", async () => {
      const { ask } = await useServed(version, (_request, response) => {
        response.writeHead(200, [
          ...["Set-Cookie", "a=1", "Set-Cookie", "b=2", "Connection", "X-Hop", "X-Hop", "1"],
          ...["X-Twice", "1", "X-Twice", "2"],
        ]);
        response.end("ok");
      });
      const { fields } = await ask("/");
      expect(fields["set-cookie"]).toEqual(["a=1", "b=2"]);
      expect(fields["x-twice"]).toBe("1, 2");
      expect(fields).not.toHaveProperty("x-hop");
    });

    it("a reader that stops holds the device's writer", async () => {
      let written = 0;
      const { ask } = await useServed(version, (_request, response) => {
        const chunk = Buffer.alloc(65_536);
        const write = (): void => {
          while (written < 256 * 1_048_576 && !response.destroyed) {
            written += chunk.length;
            if (!response.write(chunk)) break;
          }
        };
        response.on("drain", write);
        write();
      });
      const answer = await ask("/", { paused: true });
      let before = -1;
      await waitUntil("the writer to be held", async () => {
        before = written;
        await sleep(systemClock, millis(300));
        return written === before;
      });
      expect(written).toBeLessThan(64 * 1_048_576);
      answer.leave();
    });
  });
}

it("a server that takes five connections and resets the others gets no more, and all is answered", async () => {
  const open = new Set<Socket>();
  let resets = 0;
  const server = createServer((request, response) => {
    // Slow enough that all would come at once.
    setTimeout(() => response.end(request.url), 20);
  });
  server.on("connection", (socket: Socket) => {
    if (open.size < 5) {
      open.add(socket);
      socket.once("close", () => open.delete(socket));
      return;
    }
    resets += 1;
    socket.once("data", () => socket.resetAndDestroy());
  });
  const certificate = await makeCertificate([name]);
  const { https, add } = await useEntrance({ certificates: [certificate] });
  add(name, new LocalDevice("lan-box", await listenForTest(server)));
  const sessions = [0, 1].map(() => {
    const createConnection = () =>
      connectTls({
        ...{ port: https, host: "127.0.0.1", servername: name },
        ...{ ALPNProtocols: ["h2"], rejectUnauthorized: false },
      });
    const session = connectHttp2(`https://${name}`, { createConnection });
    session.on("error", () => undefined);
    onTestFinished(() => session.destroy());
    return session;
  });
  const load = (session: ClientHttp2Session, path: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const stream = session.request({ ":path": path, ":authority": name });
      let text = "";
      stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
      stream.on("error", reject);
      stream.on("end", () => resolve(text));
    });
  const page = async (): Promise<void> => {
    const paths = Array.from({ length: 50 }, (_, index) => `/asset-${index}`);
    const got = await within(
      10_000,
      "all assets",
      Promise.all(paths.map((path, index) => load(sessions[index % 2]!, path))),
    );
    expect(got).toEqual(paths);
  };
  await page();
  const learning = resets;
  expect(learning).toBeGreaterThan(20);
  // It was learnt the first time; one visitor's stream may still be closing when another's is opened.
  await page();
  expect(resets - learning).toBeLessThan(learning / 2);
});

it("an idle stream that the device has closed is not the client's fault", async () => {
  const server = createServer((request, response) => {
    // Closes right behind its answer, without having said so.
    response.end(request.url, () => setImmediate(() => request.socket.end()));
  });
  const device = new LocalDevice("lan-box", await listenForTest(server));
  const { http, add } = await useEntrance();
  add(name, device);
  const socket = connect(http, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
  for (let count = 1; count <= 20; count += 1) {
    socket.write(`GET /n${count} HTTP/1.1\r\nHost: ${name}\r\n\r\n`);
    await waitUntil("the answer", () => text.includes(`/n${count}`));
  }
  expect(text.match(/HTTP\/1.1 200/g)).toHaveLength(20);
});

it("a device that answers early and does not read the body leaves the connection usable", async () => {
  const server = createServer((_request, response) => response.end("early"));
  const { http, add } = await useEntrance();
  add(name, new LocalDevice("lan-box", await listenForTest(server)));
  const socket = connect(http, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const length = 4 * 1_048_576;
  socket.write(`POST / HTTP/1.1\r\nHost: ${name}\r\nContent-Length: ${length}\r\n\r\n`);
  socket.write(Buffer.alloc(length));
  await waitUntil("the first answer", () => text.includes("early"));
  socket.write(`GET / HTTP/1.1\r\nHost: ${name}\r\n\r\n`);
  await waitUntil("the second", () => text.match(/early/g)?.length === 2);
});

it("each connection that reached a device has a line at its beginning and one at its end, with who, whom and how much", async () => {
  const { log, lines } = logToLines();
  const { port } = await useSite(() => "x".repeat(10_000));
  const { http, add, metric } = await useEntrance({ log });
  add(name, new LocalDevice("lan-box", port));
  await new Promise<void>((resolve) => {
    get({ port: http, host: "127.0.0.1", headers: { host: name }, agent: false }, (answer) => {
      answer.resume();
      answer.once("close", resolve);
    });
  });
  const closed = await waitUntil("the last line", () =>
    lines.find(({ event }) => event === "relay.public.closed"),
  );
  const opened = lines.find(({ event }) => event === "relay.public.opened");
  const who = { remote: "127.0.0.1", port: http, name, server: "lan-box", tls: "none" };
  expect(opened).toMatchObject(who);
  expect(closed).toMatchObject({ ...who, requests: 1 });
  expect(closed["bytesUp"]).toBeGreaterThan(50);
  expect(closed["bytesDown"]).toBeGreaterThan(10_000);
  expect(await metric("culvert_relay_public_bytes_total", { direction: "down" })).toBe(
    closed["bytesDown"],
  );
});

it("the status shows every name and port, who serves it, and the connections there are", async () => {
  const { port } = await useSite(() => "here");
  const { entrance, http, add } = await useEntrance();
  const device = new LocalDevice("lan-box", port);
  const away = new LocalDevice("other-box", port);
  away.connected = false;
  add(name, device);
  add(name, away);
  add("*.example.net", away, { tls: "pass", http: "redirect" });
  const open = await entrance.ports.open({ host: "127.0.0.1", port: 0 }, device);
  const [visitor, caller] = [connect(http, "127.0.0.1"), connect(open.port, "127.0.0.1")];
  onTestFinished(() => [visitor, caller].forEach((socket) => void socket.destroy()));
  let heard = "";
  visitor.on("data", (chunk: Buffer) => (heard += chunk.toString()));
  visitor.write(`GET / HTTP/1.1\r\nHost: ${name}\r\n\r\n`);
  const status = await waitUntil("both connections", () => {
    const now = entrance.status();
    return heard.endsWith("here") && now.connections.length === 2 ? now : undefined;
  });
  expect(status).toMatchObject({ siteCount: 3, connectionCount: 2 });
  expect(status.sites).toEqual([
    { site: name, servers: ["lan-box"], tls: "end", http: "forward", connections: 1 },
    { site: "*.example.net", servers: [], tls: "pass", http: "redirect", connections: 0 },
    { site: `port 127.0.0.1:${open.port}`, servers: ["lan-box"], connections: 1 },
  ]);
  const from = (socket: Socket) => ({
    remote: `127.0.0.1:${socket.localPort}`,
    server: "lan-box",
    tls: "none",
  });
  const visit = status.connections.find(({ name: asked }) => asked === name);
  expect(visit).toMatchObject({ ...from(visitor), port: http, requests: 1 });
  expect(visit?.bytesDown).toBeGreaterThan(4);
  const call = status.connections.find(({ name: asked }) => asked === "");
  expect(call).toMatchObject({ ...from(caller), port: open.port, requests: 0 });
});

it("a drain ends idle connections, lets requests finish, and takes nobody new", async () => {
  let finish = (): void => undefined;
  const server = createServer((_request, response) => {
    response.write("begun ");
    finish = () => void response.end("done");
  });
  const certificate = await makeCertificate([name]);
  const { entrance, http, https, add } = await useEntrance({ certificates: [certificate] });
  add(name, new LocalDevice("lan-box", await listenForTest(server)));
  const answer = await askOnce(http, "/");
  const idle = connectTls({
    port: https,
    host: "127.0.0.1",
    servername: name,
    ALPNProtocols: ["h2"],
    rejectUnauthorized: false,
  });
  idle.on("error", () => undefined);
  const session = connectHttp2(`https://${name}`, { createConnection: () => idle });
  session.on("error", () => undefined);
  await waitUntil("the idle connection", () => !session.connecting);
  const ended: string[] = [];
  const draining = entrance.drain().then(() => ended.push("drain"));
  await waitUntil("the idle connection to end", () => session.closed || session.destroyed);
  await expect(askOnce(http, "/")).rejects.toThrow();
  expect(ended).toEqual([]);
  finish();
  await waitUntil("the answer", () => answer.text() === "begun done");
  await within(5_000, "the drain", draining);
});

interface Answer {
  readonly status: number;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly text: () => string;
  readonly ended: Promise<void>;
  /** Whether it came to its proper end. */
  readonly whole: () => boolean;
  readonly leave: () => void;
}

interface Asking {
  readonly method?: string;
  /** Does not read the body. */
  readonly paused?: boolean;
}

/** A name with TLS ended at the relay, and a client of one version of HTTP. */
async function useServed(version: "HTTP/1.1" | "HTTP/2", answer: RequestListener) {
  const device = new LocalDevice("lan-box", await listenForTest(createServer(answer)));
  const certificate = await makeCertificate([name]);
  const { https, add } = await useEntrance({ certificates: [certificate] });
  add(name, device);
  const ask = (path: string, asking: Asking = {}): Promise<Answer> =>
    within(
      5_000,
      "the head of the answer",
      version === "HTTP/1.1" ? askHttp1(https, path, asking) : askHttp2(https, path, asking),
    );
  return { ask, device };
}

function askOnce(port: number, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { port, host: "127.0.0.1", path, headers: { host: name }, agent: false };
    answerOf(httpRequest(options), {}, resolve, reject);
  });
}

function askHttp1(port: number, path: string, asking: Asking): Promise<Answer> {
  const agent = new Agent({ keepAlive: false });
  return new Promise((resolve, reject) => {
    const request = httpsRequest({
      ...{ port, host: "127.0.0.1", path, method: asking.method, agent },
      ...{ servername: name, rejectUnauthorized: false, headers: { host: name } },
    });
    answerOf(request, asking, resolve, reject);
  });
}

function answerOf(
  request: ReturnType<typeof httpRequest>,
  { paused = false }: Asking,
  resolve: (answer: Answer) => void,
  reject: (error: Error) => void,
): void {
  onTestFinished(() => void request.destroy());
  request.on("error", reject);
  request.on("response", (response) => {
    let text = "";
    response.on("error", () => undefined);
    if (!paused) response.on("data", (chunk: Buffer) => (text += chunk.toString()));
    const ended = new Promise<void>((done) => response.once("close", done));
    resolve({
      status: response.statusCode ?? 0,
      fields: response.headers,
      text: () => text,
      ended,
      whole: () => response.complete,
      leave: () => void request.destroy(),
    });
  });
  request.end();
}

function askHttp2(
  port: number,
  path: string,
  { method = "GET", paused = false }: Asking,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const tls: Socket = connectTls({
      ...{ port, host: "127.0.0.1", servername: name, ALPNProtocols: ["h2"] },
      rejectUnauthorized: false,
    });
    const session = connectHttp2(`https://${name}`, { createConnection: () => tls });
    session.on("error", reject);
    onTestFinished(() => session.destroy());
    const stream = session.request({ ":path": path, ":method": method });
    let text = "";
    let failed = false;
    stream.on("error", () => (failed = true));
    stream.on("response", (fields) => {
      if (!paused) stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
      const ended = new Promise<void>((done) => stream.once("close", done));
      resolve({
        status: fields[":status"] ?? 0,
        fields,
        text: () => text,
        ended,
        whole: () => stream.readableEnded && !failed,
        leave: () => session.destroy(),
      });
    });
    stream.end();
  });
}
