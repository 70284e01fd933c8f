import { createServer as createHttpServer, type IncomingMessage } from "node:http";
import { connect, createServer } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { VirtualClock, waitUntil } from "@culvert/testkit";
import { HttpProxy } from "./http-proxy.ts";
import { closedPort, listening, proxyOn, sayTo, slowLookup } from "./proxy-fixture.test-data.ts";

const httpProxy = () => proxyOn((deps) => new HttpProxy(deps));

/** A web server that repeats what it was asked; `seen` has what came. */
async function origin() {
  const seen: { line: string; headers: string[]; body: string }[] = [];
  const server = createHttpServer((req, res) => {
    void bodyOf(req).then((body) => {
      seen.push({ line: `${req.method ?? ""} ${req.url ?? ""}`, headers: req.rawHeaders, body });
      res.writeHead(200, ["X-Kept", "1", "Connection", "close, X-Hop", "X-Hop", "1"]);
      res.end("hello");
    });
  });
  return { port: await listening(server), seen };
}

async function bodyOf(req: IncomingMessage): Promise<string> {
  let body = "";
  for await (const chunk of req) body += String(chunk);
  return body;
}

describe("a request in absolute form", () => {
  it("goes on in origin form, with the headers that are meant for the other end", async () => {
    const [proxy, { port, seen }] = await Promise.all([httpProxy(), origin()]);
    const answer = await sayTo(
      proxy.port,
      `POST http://web:${port}/a/%7Eb?c#d HTTP/1.1\r\nHost: other\r\nX-Own: 1\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n` +
        "Proxy-Authorization: Basic c2VjcmV0\r\nProxy-Connection: close\r\nTE: trailers\r\nContent-Length: 3\r\n\r\nabc",
    );
    expect(seen).toEqual([
      {
        line: "POST /a/%7Eb?c",
        headers: [
          "Host",
          `web:${port}`,
          "X-Own",
          "1",
          "Content-Length",
          "3",
          "Connection",
          "close",
        ],
        body: "abc",
      },
    ]);
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\nX-Kept: 1\r\n/);
    expect(answer).not.toContain("X-Hop");
    expect(answer).toContain("hello");
    expect(proxy.dialled).toEqual([`mesh web:${port}`]);
  });

  it("keeps the connection of the client for the next, which may go elsewhere", async () => {
    const [proxy, one, other] = await Promise.all([httpProxy(), origin(), origin()]);
    const answer = await sayTo(
      proxy.port,
      `GET http://web:${one.port}/1 HTTP/1.1\r\nHost: web\r\n\r\n` +
        `GET http://127.0.0.1:${other.port} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
    );
    expect(answer.match(/hello/g)).toHaveLength(2);
    expect(one.seen[0]?.line).toBe("GET /1");
    expect(other.seen[0]).toMatchObject({ line: "GET /", body: "" });
    expect(proxy.dialled).toEqual([`mesh web:${one.port}`, `system 127.0.0.1:${other.port}`]);
  });

  it("passes a chunked body, and a wait for 100-continue", async () => {
    const [proxy, { port, seen }] = await Promise.all([httpProxy(), origin()]);
    const answer = await sayTo(
      proxy.port,
      `PUT http://web:${port}/ HTTP/1.1\r\nHost: web\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n` +
        "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    );
    expect(answer).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
    expect(seen[0]?.body).toBe("abcde");
  });

  it("that nobody takes is answered with NoRouter's text, or with the reason", async () => {
    const [proxy, port] = await Promise.all([httpProxy(), closedPort()]);
    const ask = (host: string) =>
      sayTo(proxy.port, `GET http://${host}:${port}/ HTTP/1.1\r\nHost: x\r\n\r\n`);
    const mesh = await ask("web");
    expect(mesh).toMatch(/^HTTP\/1\.1 500 /);
    expect(mesh).toContain("content-type: text/plain");
    expect(mesh).toMatch(/See NoRouter agent log\n/);
    const system = await ask("127.0.0.1");
    expect(system).toMatch(/^HTTP\/1\.1 500 [^]*ECONNREFUSED/);
  });

  it("whose answer is cut off is cut off, too", async () => {
    const server = createServer((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
      socket.once("data", () => socket.destroySoon());
    });
    const [proxy, port] = await Promise.all([httpProxy(), listening(server)]);
    const socket = connect(proxy.port, "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    const ended = new Promise<string>((resolve) => {
      socket.on("error", () => undefined);
      socket.on("close", () => resolve("closed"));
    });
    socket.resume();
    socket.write(`GET http://web:${port}/ HTTP/1.1\r\nHost: web\r\n\r\n`);
    expect(await ended).toBe("closed");
  });
});

describe("the head of a request", () => {
  /** A client of a proxy whose time is the test's, and a web server behind it that answers when told to. */
  async function client() {
    const clock = new VirtualClock();
    const proxy = await proxyOn((deps) => new HttpProxy({ ...deps, clock }));
    const held: (() => void)[] = [];
    const server = createHttpServer((_req, res) => void held.push(() => res.end("hello")));
    const web = await listening(server);
    const socket = connect(proxy.port, "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    let text = "";
    let isClosed = false;
    socket.on("data", (chunk: Buffer) => (text += String(chunk)));
    socket.on("error", () => undefined).on("close", () => (isClosed = true));
    const head = `GET http://web:${web}/ HTTP/1.1\r\nHost: web\r\n\r\n`;
    const asked = (count: number) =>
      waitUntil(() => held.length === count, { what: `request ${count}` });
    const answered = (count: number) =>
      waitUntil(() => text.split("hello").length === count + 1, { what: `answer ${count}` });
    const armed = (count: number) =>
      waitUntil(() => clock.pendingTimers === count, { what: `${count} deadlines` });
    return { clock, socket, head, held, asked, answered, armed, isClosed: () => isClosed };
  }

  it.each([0, 1])("after %i others may take long, but not for ever", async (others) => {
    const { clock, socket, head, held, asked, answered, armed, isClosed } = await client();
    for (let count = 1; count <= others; count += 1) {
      socket.write(head);
      await asked(count);
      held.at(-1)?.();
      await answered(count);
    }
    await armed(1);
    for (let at = 0; at < 11 && !isClosed(); at += 1) {
      socket.write(head.charAt(at));
      await clock.advance(10_000);
    }
    await waitUntil(isClosed, { what: "the end of the connection" });
  });

  it("is no concern of a request whose answer takes its time", async () => {
    const { clock, socket, head, held, asked, answered, armed } = await client();
    for (const count of [1, 2]) {
      socket.write(head);
      await asked(count);
      await armed(0);
      await clock.advance(200_000);
      held.at(-1)?.();
      await answered(count);
    }
  });

  it("is waited for only once all answers to those before it have left", async () => {
    const { clock, socket, head, held, asked, answered, armed } = await client();
    socket.write(head + head);
    await asked(2);
    held[0]?.();
    await answered(1);
    await armed(0);
    await clock.advance(200_000);
    held[1]?.();
    await answered(2);
    await armed(1);
  });
});

describe("the body of a request", () => {
  /** An upload through a proxy whose time is the test's, to a server that takes it or does not. */
  async function upload(isTaken = true) {
    const clock = new VirtualClock();
    const proxy = await proxyOn((deps) => new HttpProxy({ ...deps, clock }));
    let taken = 0;
    const server = createHttpServer((req) => {
      if (isTaken) req.on("data", (chunk: Buffer) => (taken += chunk.length));
    });
    const web = await listening(server);
    const socket = connect(proxy.port, "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    let answer = "";
    let isClosed = false;
    socket.on("data", (chunk: Buffer) => (answer += String(chunk)));
    socket.on("error", () => undefined).on("close", () => (isClosed = true));
    socket.write(
      `POST http://web:${web}/ HTTP/1.1\r\nHost: web\r\nContent-Length: 999999999\r\n\r\n`,
    );
    await waitUntil(() => clock.pendingTimers === 1, { what: "the deadline of the body" });
    return {
      clock,
      socket,
      proxy,
      taken: () => taken,
      answer: () => answer,
      closed: () => isClosed,
    };
  }

  it("that comes byte by byte is answered and ends after five minutes", async () => {
    const { clock, socket, proxy, taken, answer, closed } = await upload();
    for (let count = 1; count <= 4; count += 1) {
      socket.write("x");
      await waitUntil(() => taken() === count, { what: `byte ${count}` });
      await clock.advance(70_000);
    }
    expect(answer()).toBe("");
    await clock.advance(20_000);
    await waitUntil(closed, { what: "the end of the connection" });
    expect(answer()).toMatch(/^HTTP\/1\.1 408 [^]*the body of the request came too slowly/);
    expect(proxy.lines).toContainEqual(
      expect.objectContaining({ event: "norouter.agent.connection.refused" }),
    );
    expect(clock.pendingTimers).toBe(0);
  });

  it("may take as long as it likes where a kibibyte comes in five minutes", async () => {
    const { clock, socket, taken, answer } = await upload();
    for (let count = 1; count <= 5; count += 1) {
      socket.write("x".repeat(1_024));
      await waitUntil(() => taken() === count * 1_024, { what: `kibibyte ${count}` });
      await clock.advance(300_000);
    }
    expect(answer()).toBe("");
  });

  it("is not to blame for a server that does not take it", async () => {
    const { clock, socket, answer, closed } = await upload(false);
    // More than all buffers on the way hold.
    socket.write(Buffer.alloc(64 * 1024 * 1024));
    for (let window = 0; window < 20; window += 1) await clock.advance(300_000);
    expect(answer()).toBe("");
    expect(closed()).toBe(false);
  });
});

it.each([
  [
    "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "Does not respond to non-proxy requests.",
  ],
  ["GET ftp://x/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "This is a proxy server."],
  [
    "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
    "This is a proxy server.",
  ],
])("a request for the proxy itself is refused: %j", async (request, text) => {
  const proxy = await httpProxy();
  const answer = await sayTo(proxy.port, request);
  expect(answer).toMatch(/^HTTP\/1\.1 500 /);
  expect(answer).toContain(text);
});

it("what is no HTTP is answered and ends", async () => {
  const proxy = await httpProxy();
  expect(await sayTo(proxy.port, "\x05\x01\x00\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 /);
});

describe("CONNECT", () => {
  async function echo(): Promise<number> {
    return listening(createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)));
  }

  it.each([
    ["web", "HTTP/1.1 200 Connection established\r\n\r\n"],
    ["127.0.0.1", "HTTP/1.0 200 Connection established\r\n\r\n"],
  ])(
    "to %s: bytes flow both ways, those at once included, and half-close",
    async (host, opening) => {
      const [proxy, port] = await Promise.all([httpProxy(), echo()]);
      const request = `CONNECT ${host}:${port} HTTP/1.1\r\nHost: x\r\n\r\nearly`;
      expect(await sayTo(proxy.port, request, true)).toBe(`${opening}early`);
    },
  );

  it.each([
    ["web", "HTTP/1.1 500 Cannot reach destination\r\n\r\n"],
    ["127.0.0.1", "HTTP/1.1 502 Bad Gateway\r\n\r\n"],
  ])("to a closed port of %s", async (host, answer) => {
    const [proxy, port] = await Promise.all([httpProxy(), closedPort()]);
    expect(await sayTo(proxy.port, `CONNECT ${host}:${port} HTTP/1.1\r\nHost: x\r\n\r\n`)).toBe(
      answer,
    );
    expect(proxy.lines).toContainEqual(
      expect.objectContaining({ event: "norouter.agent.connection.refused" }),
    );
  });

  it("without a port means 443, and nonsense is refused", async () => {
    const proxy = await httpProxy();
    await sayTo(proxy.port, "CONNECT web HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(proxy.dialled).toEqual(["mesh web:443"]);
    const answer = await sayTo(proxy.port, "CONNECT web:99999 HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  });

  it("a client that leaves resets the other end", async () => {
    let isReset = false;
    const server = createServer((socket) => {
      socket.on("error", () => (isReset = true));
      socket.resume();
    });
    const [proxy, port] = await Promise.all([httpProxy(), listening(server)]);
    const socket = connect(proxy.port, "127.0.0.1");
    socket.write(`CONNECT web:${port} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await new Promise((resolve) => socket.once("data", resolve));
    socket.resetAndDestroy();
    await waitUntil(() => isReset, { what: "the reset" });
  });
});

describe("Upgrade", () => {
  const request = (port: number): string =>
    `GET http://web:${port}/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly`;

  it("switches both sides where the other end does", async () => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.once("data", (head: Buffer) => {
        expect(String(head)).toContain("Connection: Upgrade\r\nUpgrade: echo\r\n");
        socket.write(
          "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nfirst ",
        );
        socket.pipe(socket);
      });
    });
    const [proxy, port] = await Promise.all([httpProxy(), listening(server)]);
    const answer = await sayTo(proxy.port, request(port), true);
    expect(answer).toMatch(
      /^HTTP\/1\.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nfirst early$/,
    );
  });

  it("passes a refusal on and ends there, so that no further request goes the same way", async () => {
    const [proxy, { port, seen }] = await Promise.all([httpProxy(), origin()]);
    const answer = await sayTo(proxy.port, request(port));
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*Connection: close\r\n\r\nhello$/);
    expect(seen).toHaveLength(1);
  });

  it("to a closed port fails as any request", async () => {
    const [proxy, port] = await Promise.all([httpProxy(), closedPort()]);
    expect(await sayTo(proxy.port, request(port))).toMatch(
      /^HTTP\/1\.1 500 [^]*See NoRouter agent log/,
    );
  });
});

it.each([
  ["a request", "GET http://web:1/ HTTP/1.1\r\nHost: web\r\n\r\n"],
  ["an upload", "POST http://web:1/ HTTP/1.1\r\nHost: web\r\nContent-Length: 9\r\n\r\nabc"],
  ["CONNECT", "CONNECT web:1 HTTP/1.1\r\nHost: web\r\n\r\n"],
  [
    "an upgrade",
    "GET http://web:1/ HTTP/1.1\r\nHost: web\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
  ],
])(
  "of %s whose client leaves while its name is looked up, nothing is left",
  async (_what, head) => {
    const lookup = slowLookup();
    const proxy = await proxyOn((deps) => new HttpProxy(deps), lookup);
    const socket = connect(proxy.port, "127.0.0.1", () => socket.write(head));
    socket.on("error", () => undefined);
    await waitUntil(() => lookup.asked.length === 1, { what: "the look-up" });
    socket.resetAndDestroy();
    await waitUntil(() => lookup.asked[0]?.aborted, { what: "the look-up to be given up" });
    lookup.goOn();
    await new Promise((resolve) => setImmediate(resolve));
    expect(proxy.dialled).toEqual([]);
    expect(proxy.lines.filter(({ event }) => event === "entrance.fault")).toEqual([]);
  },
);
