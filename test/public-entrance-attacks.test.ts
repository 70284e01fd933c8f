import { connect, createServer, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { describe, expect, it, onTestFinished } from "vitest";
import { millis } from "@culvert/runtime";
import { logToLines } from "./support/log-lines.ts";
import {
  listenForTest,
  LocalDevice,
  useEntrance,
  useSite,
  type EntranceUnderTest,
} from "./support/public-entrance.ts";
import { waitUntil } from "./support/wait.ts";

const name = "app.example.com";
const refused = "culvert_relay_public_refused_total";
const get = `GET / HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`;

describe("slow visitors", () => {
  it("a head that comes byte by byte ends at the one deadline, the first and a later one", async () => {
    const limits = { headDeadline: millis(1_500) };
    const { http, https, metric } = await useApp({ limits });
    const first = dial(http);
    const within = dialTls(https, []);
    const later = dial(http);
    later.socket.write(`GET / HTTP/1.1\r\nHost: ${name}\r\n\r\n`);
    await waitUntil("the first answer", () => later.heard().includes("HTTP/1.1 200"));
    const startMs = performance.now();
    for (const { socket } of [first, within, later]) trickle(socket, get);
    for (const each of [first, within, later]) {
      await waitUntil("the end", () => each.socket.closed, { withinMs: 6_000 });
      expect(each.heard()).toMatch(/HTTP\/1.1 408 /);
    }
    expect(performance.now() - startMs).toBeLessThan(7_000);
    expect(await metric(refused, { reason: "slow_head" })).toBe(3);
  });

  it("who might yet begin with ssh has one deadline for that and its first head together", async () => {
    const { https, metric } = await useApp({ limits: { headDeadline: millis(3_000) } });
    const { socket, heard } = dialTls(https, []);
    await waitUntil("the handshake", () => socket.getProtocol() === "TLSv1.3");
    const startMs = performance.now();
    socket.write("S");
    const timer = setTimeout(() => socket.write("EARCH / HTT"), 2_500);
    onTestFinished(() => clearTimeout(timer));
    await waitUntil("the end", () => socket.closed, { withinMs: 8_000 });
    expect(heard()).toMatch(/^HTTP\/1.1 408 /);
    expect(performance.now() - startMs).toBeLessThan(5_000);
    expect(await metric(refused, { reason: "slow_head" })).toBe(1);
  });

  it("who agrees on no protocol and leaves is let go at once, also in the middle of a banner; silence ends at the deadline", async () => {
    const { https, metric } = await useApp({ limits: { headDeadline: millis(5_000) } });
    const silent = dialTls(https, []);
    for (const [index, text] of ["", "SSH-"].entries()) {
      const { socket } = dialTls(https, []);
      socket.once("secureConnect", () => socket.end(text));
      await waitUntil("the end", () => socket.closed, { withinMs: 4_000 });
      expect(await metric(refused, { reason: "left" })).toBe(index + 1);
    }
    await waitUntil("the end of silence", () => silent.socket.closed, { withinMs: 10_000 });
    expect(silent.heard()).toBe("");
    expect(await metric(refused, { reason: "slow_head" })).toBe(1);
  });

  it("a head that is complete after it was told to be too late does nothing any more", async () => {
    const { https, device, metric } = await useApp({ limits: { headDeadline: millis(1_500) } });
    for (const ALPNProtocols of [["http/1.1"], []]) {
      const { socket, heard } = dialTls(https, ALPNProtocols);
      socket.allowHalfOpen = true;
      socket.write(get.slice(0, -2));
      await waitUntil("408", () => heard().includes("HTTP/1.1 408"));
      socket.write("\r\n");
      await waitUntil("the end", () => socket.closed || socket.readableEnded);
      await waitUntil("no connection", async () => {
        return (await metric("culvert_relay_public_connections")) === 0;
      });
      expect(heard().match(/HTTP\/1.1/g)).toHaveLength(1);
    }
    expect(device.opened).toEqual([]);
  });

  it("1,000 handshakes that stop hold up nobody else, and end", { timeout: 60_000 }, async () => {
    const { https, http, metric } = await useApp({ limits: { headDeadline: millis(1_500) } });
    const dials = Array.from({ length: 1_000 }, () => dial(https));
    for (const { socket } of dials) socket.write(Buffer.from([22, 3, 1, 2, 0, 1, 0]));
    await waitUntil(
      "the first to be refused",
      async () => (await metric(refused, { reason: "handshakesPerAddress" })) > 0,
      { withinMs: 15_000 },
    );
    const other = dial(http, "127.0.0.2");
    other.socket.write(get);
    await waitUntil("another visitor's answer", () => other.heard().includes("HTTP/1.1 200"));
    let most = 0;
    await waitUntil(
      "each to be refused at once or at the deadline",
      async () => {
        most = Math.max(most, await metric("culvert_relay_public_handshakes"));
        const atOnce = await metric(refused, { reason: "handshakesPerAddress" });
        return atOnce + (await metric(refused, { reason: "slow_head" })) === 1_000;
      },
      { withinMs: 15_000 },
    );
    expect(most).toBeLessThanOrEqual(64);
    await waitUntil(
      "all to be gone",
      async () => (await metric("culvert_relay_public_connections")) === 0,
      { withinMs: 10_000 },
    );
  });
});

it("a TLS handshake that fails is told by one printable line", async () => {
  const { log, lines } = logToLines();
  const { https } = await useApp({ log });
  listen(
    connectTls({
      ...{ port: https, host: "127.0.0.1", servername: name, rejectUnauthorized: false },
      ...{ minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" },
    }),
  );
  const told = await waitUntil("the line", () =>
    lines.find(({ event }) => event === "relay.public.refused"),
  );
  expect(told).toMatchObject({ cause: "tls_failed", reason: "unsupported protocol" });
});

describe("HTTP/2 floods", () => {
  it("a client that agrees on HTTP/2 and then says nothing is left at the deadline", async () => {
    const { https, metric } = await useApp({ limits: { headDeadline: millis(1_500) } });
    const { socket } = dialTls(https, ["h2"]);
    await waitUntil("the end", () => socket.closed, { withinMs: 6_000 });
    expect(await metric(refused, { reason: "slow_head" })).toBe(1);
    const { socket: living } = await http2Raw(https);
    const silent = dialTls(https, ["h2"]);
    await waitUntil("the other's end", () => silent.socket.closed, { withinMs: 6_000 });
    expect(living.closed).toBe(false);
  });

  it("streams opened and reset by the thousand are heard no more, and few of them have reached the device", async () => {
    const { https, http, device } = await useApp();
    const { socket, heard } = await http2Raw(https);
    const headers = request("GET", "/");
    let stream = 1;
    const burst = (): void => {
      const frames: Buffer[] = [];
      for (let count = 0; count < 1_000; count += 1, stream += 2) {
        frames.push(frame(1, 0x5, stream, headers), frame(3, 0, stream, Buffer.from([0, 0, 0, 8])));
      }
      socket.write(Buffer.concat(frames));
    };
    for (let count = 0; count < 20; count += 1) burst();
    const startMs = performance.now();
    const other = dial(http);
    other.socket.write(get);
    await waitUntil("another visitor's answer", () => other.heard().includes("HTTP/1.1 200"));
    expect(performance.now() - startMs).toBeLessThan(3_000);
    await waitUntil("GOAWAY", () => answered(heard()).startsWith("GOAWAY"), { withinMs: 10_000 });
    expect(device.opened.length).toBeLessThan(200);
  });

  it.each([
    [
      "CONTINUATION without end",
      (): Buffer[] => [
        frame(1, 0x1, 1, request("GET", "/")),
        ...many(() => frame(9, 0, 1, field("x", "y".repeat(1_000)))),
      ],
    ],
    [
      "empty CONTINUATION without end",
      (): Buffer[] => [
        frame(1, 0x1, 1, request("GET", "/")),
        ...many(() => frame(9, 0, 1, Buffer.alloc(0))),
      ],
    ],
    ["SETTINGS", (): Buffer[] => many(() => frame(4, 0, 0, Buffer.from([0, 4, 0, 0, 255, 255])))],
    ["PING", (): Buffer[] => many(() => frame(6, 0, 0, Buffer.alloc(8)))],
    [
      "empty DATA",
      (): Buffer[] => [
        frame(1, 0x4, 1, request("POST", "/")),
        ...many(() => frame(0, 0, 1, Buffer.alloc(0))),
      ],
    ],
  ] as const)("%s: others are served meanwhile, and nothing grows", async (_what, frames) => {
    const { https, http } = await useApp();
    const { socket } = await http2Raw(https);
    // Answers are not read.
    socket.pause();
    const before = process.memoryUsage().rss;
    for (const each of frames()) socket.write(each);
    const other = dial(http);
    other.socket.write(get);
    await waitUntil("another visitor's answer", () => other.heard().includes("HTTP/1.1 200"));
    await waitUntil(
      "all to be taken, or the end",
      () => socket.closed || socket.writableLength === 0,
      { withinMs: 10_000 },
    );
    expect(process.memoryUsage().rss - before).toBeLessThan(128 * 1024 * 1024);
  });
});

describe("requests that are read in two ways", () => {
  const host = `Host: ${name}\r\n`;
  const smuggled = `GET /smuggled HTTP/1.1\r\n${host}\r\n`;
  it.each([
    [
      "CL and TE",
      "no",
      `POST / HTTP/1.1\r\n${host}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
    ],
    [
      "TE and CL",
      "no",
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${smuggled}`,
    ],
    [
      "two CL",
      "no",
      `POST / HTTP/1.1\r\n${host}Content-Length: 0\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
    ],
    ["a list of CL", "no", `POST / HTTP/1.1\r\n${host}Content-Length: 0, 0\r\n\r\n`],
    ["CL with a sign", "no", `POST / HTTP/1.1\r\n${host}Content-Length: +0\r\n\r\n`],
    ["CL in hex", "no", `POST / HTTP/1.1\r\n${host}Content-Length: 0x10\r\n\r\n${smuggled}`],
    ["negative CL", "no", `POST / HTTP/1.1\r\n${host}Content-Length: -1\r\n\r\n`],
    [
      "TE twice",
      "no",
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n`,
    ],
    [
      "TE chunked in the middle",
      "no",
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
    ],
    [
      "TE with a vertical tab",
      "no",
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      "TE folded",
      "no",
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      "a bare line feed in the head",
      "no",
      `POST / HTTP/1.1\r\n${host}X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      "a bare carriage return in the head",
      "no",
      `POST / HTTP/1.1\r\n${host}X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      "a bare line feed behind a chunk's size",
      "no",
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n`,
    ],
    [
      "a chunk longer than it says",
      "no",
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n`,
    ],
    [
      "a chunk's size with a sign",
      "no",
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n+1\r\nx\r\n0\r\n\r\n`,
    ],
    [
      "a chunk's size of 17 digits",
      "no",
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n10000000000000001\r\nx\r\n0\r\n\r\n`,
    ],
    [
      "a bare line feed in a chunk's extension",
      "no",
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n1;a\nb\r\nx\r\n0\r\n\r\n`,
    ],
    [
      "TE in HTTP/1.0",
      "one",
      `POST / HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      "chunk extensions",
      "one",
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0;c\r\n\r\n`,
    ],
    [
      "trailers that are framing",
      "no",
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nContent-Length: 5\r\nHost: other.example.com\r\n\r\n`,
    ],
    [
      "a body of GET",
      "one",
      `GET / HTTP/1.1\r\n${host}Content-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
    ],
    [
      "Connection names Host and the length",
      "one",
      `POST / HTTP/1.1\r\n${host}Connection: host, content-length, x-forwarded-for\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
    ],
    ["a DEL in a field", "no", `GET / HTTP/1.1\r\n${host}X: a\x7fb\r\n\r\n`],
    ["a DEL in the target", "no", `GET /a\x7fb HTTP/1.1\r\n${host}\r\n`],
    ["bytes above ASCII in the target", "no", `GET /\xc4\x80\xff HTTP/1.1\r\n${host}\r\n`],
    ["bytes above ASCII in a field", "one", `GET / HTTP/1.1\r\n${host}X: \xc4\x80\xff\r\n\r\n`],
    ["a method that is none", "no", `FOO / HTTP/1.1\r\n${host}\r\n`],
    ["CONNECT", "no", `CONNECT ${name}:443 HTTP/1.1\r\n${host}\r\n`],
    [
      "an expectation",
      "one",
      `POST / HTTP/1.1\r\n${host}Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx`,
    ],
    [
      "an odd expectation",
      "no",
      `POST / HTTP/1.1\r\n${host}Expect: tea\r\nContent-Length: 1\r\n\r\nx`,
    ],
    ["the preface of HTTP/2", "no", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["a PROXY header", "no", `PROXY TCP4 6.6.6.6 127.0.0.1 7777 443\r\n${get}`],
    [
      "a PROXY header of version 2",
      "no",
      `\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x06\x06\x06\x06\x7f\0\0\x01\x1e\x61\x01\xbb${get}`,
    ],
    ["an absolute target with a user", "no", `GET http://evil@${name}/ HTTP/1.1\r\n${host}\r\n`],
    [
      "an absolute target of another host",
      "no",
      `GET http://relay.example.com/ HTTP/1.1\r\n${host}\r\n`,
    ],
    ["a Host of raw bytes", "no", `GET / HTTP/1.1\r\nHost: b\xfccher.example.com\r\n\r\n`],
    ["a Host with an underscore", "no", `GET / HTTP/1.1\r\nHost: app_x.example.com\r\n\r\n`],
    ["a Host with two dots", "no", `GET / HTTP/1.1\r\nHost: ${name}..\r\n\r\n`],
    ["a Host with a path", "no", `GET / HTTP/1.1\r\nHost: ${name}/x\r\n\r\n`],
    ["a Host with a port that is none", "no", `GET / HTTP/1.1\r\nHost: ${name}:x\r\n\r\n`],
  ] as const)("%s: %s request reaches the device", async (what, count, text) => {
    const { http, https, requests } = await useRecorded();
    for (const each of [dial(http), dialTls(https, ["http/1.1"])]) {
      requests.length = 0;
      each.socket.write(Buffer.from(text, "latin1"));
      await waitUntil(
        "an answer, or the end",
        () => each.socket.closed || /HTTP\/1.1 [2-5]/.test(each.heard()),
        { withinMs: 6_000 },
      );
      expect(requests, what).toHaveLength(count === "one" ? 1 : 0);
      expect(requests.join()).not.toContain("/smuggled");
      each.socket.destroy();
    }
  });

  it.each([
    ["as it is", name],
    ["with a port", `${name}:8443`],
    ["in upper case", name.toUpperCase()],
    ["with the dot of the root", `${name}.`],
    ["with the dot of the root and a port", `${name}.:443`],
  ])("Host %s leads to the site, and from nowhere to another", async (_what, said) => {
    const { http, https } = await useApp();
    for (const each of [dial(http), dialTls(https, [], name), dialTls(https, [], `${name}.`)]) {
      each.socket.write(`GET / HTTP/1.1\r\nHost: ${said}\r\nConnection: close\r\n\r\n`);
      await waitUntil("an answer", () => each.socket.closed);
      expect(each.heard()).toMatch(/^HTTP\/1.1 200 /);
    }
    const other = dialTls(https, [], "relay.example.com");
    other.socket.write(`GET / HTTP/1.1\r\nHost: ${said}\r\nConnection: close\r\n\r\n`);
    await waitUntil("an answer", () => other.socket.closed);
    expect(other.heard()).toMatch(/^HTTP\/1.1 421 /);
  });

  it("by HTTP/2: lengths that lie, fields of a hop, odd paths and methods", async () => {
    const { https, requests } = await useRecorded();
    const lies: readonly (readonly [string, readonly Buffer[]])[] = [
      [
        "more than its length",
        [
          frame(1, 0x4, 1, Buffer.concat([request("POST", "/"), field("content-length", "1")])),
          frame(0, 1, 1, Buffer.from(`x${smuggled}`)),
        ],
      ],
      [
        "less than its length",
        [
          frame(1, 0x4, 1, Buffer.concat([request("POST", "/"), field("content-length", "10")])),
          frame(0, 1, 1, Buffer.from("x")),
        ],
      ],
      [
        "two lengths",
        [
          frame(
            1,
            0x4,
            1,
            Buffer.concat([
              request("POST", "/"),
              field("content-length", "1"),
              field("content-length", "5"),
            ]),
          ),
          frame(0, 1, 1, Buffer.from("x")),
        ],
      ],
      [
        "transfer-encoding",
        [
          frame(
            1,
            0x4,
            1,
            Buffer.concat([request("POST", "/"), field("transfer-encoding", "chunked")]),
          ),
          frame(0, 1, 1, Buffer.from(`0\r\n\r\n${smuggled}`)),
        ],
      ],
      [
        "a line break in a value",
        [
          frame(
            1,
            0x5,
            1,
            Buffer.concat([request("GET", "/"), field("x", `y\r\n\r\n${smuggled}`)]),
          ),
        ],
      ],
      [
        "a line break in the path",
        [frame(1, 0x5, 1, request("GET", `/ HTTP/1.1\r\n${host}\r\n${smuggled}`))],
      ],
      ["a space in the path", [frame(1, 0x5, 1, request("GET", "/a b"))]],
      ["raw bytes in the path", [frame(1, 0x5, 1, request("GET", "/\xc4\x80\xff"))]],
      ["DEL in the path", [frame(1, 0x5, 1, request("GET", "/a\x7fb"))]],
      [
        "raw bytes in a value",
        [frame(1, 0x5, 1, Buffer.concat([request("GET", "/"), field("x", "\xc4\x80\xff")]))],
      ],
      [
        "DEL in a value",
        [frame(1, 0x5, 1, Buffer.concat([request("GET", "/"), field("x", "a\x7fb")]))],
      ],
      [
        "a space in a name",
        [frame(1, 0x5, 1, Buffer.concat([request("GET", "/"), field("x y", "z")]))],
      ],
      [
        "a colon in a name",
        [frame(1, 0x5, 1, Buffer.concat([request("GET", "/"), field("x:y", "z")]))],
      ],
      [
        "capitals in a name",
        [frame(1, 0x5, 1, Buffer.concat([request("GET", "/"), field("Host", "z")]))],
      ],
      ["a method with a space", [frame(1, 0x5, 1, request("GET /x HTTP/1.1", "/"))]],
      ["a method that is none", [frame(1, 0x5, 1, request("FOO", "/"))]],
      ["no path", [frame(1, 0x5, 1, request("GET", ""))]],
      [
        "CONNECT",
        [frame(1, 0x5, 1, Buffer.concat([field(":method", "CONNECT"), field(":authority", name)]))],
      ],
      [
        "extended CONNECT",
        [
          frame(
            1,
            0x5,
            1,
            Buffer.concat([request("CONNECT", "/"), field(":protocol", "websocket")]),
          ),
        ],
      ],
      [
        "two authorities",
        [
          frame(
            1,
            0x5,
            1,
            Buffer.concat([request("GET", "/"), field("host", "relay.example.com")]),
          ),
        ],
      ],
      [
        "upgrade",
        [
          frame(
            1,
            0x5,
            1,
            Buffer.concat([
              request("GET", "/"),
              field("upgrade", "websocket"),
              field("connection", "upgrade"),
            ]),
          ),
        ],
      ],
      [
        "an authority with a user",
        [
          frame(
            1,
            0x5,
            1,
            Buffer.concat([
              field(":method", "GET"),
              field(":scheme", "https"),
              field(":authority", `evil@${name}`),
              field(":path", "/"),
            ]),
          ),
        ],
      ],
    ];
    for (const [what, frames] of lies) {
      requests.length = 0;
      const { socket, heard } = await http2Raw(https);
      for (const each of frames) socket.write(each);
      await waitUntil(
        `${what}: an answer or the end`,
        () => socket.closed || answered(heard()) !== "",
        { withinMs: 6_000 },
      );
      expect(requests.length, what).toBeLessThanOrEqual(1);
      expect(requests.join(), what).not.toContain("/smuggled");
      socket.destroy();
    }
  });

  it("a kept connection is no way to another name by a WebSocket", async () => {
    const { http, https, add } = await useApp();
    const { port } = await useSite(() => "other");
    const other = new LocalDevice("other", port);
    add("other.example.com", other);
    const open = (host: string): string =>
      `GET /ws HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;
    for (const host of [
      "other.example.com",
      "relay.example.com",
      "127.0.0.1",
      "nobody.example.com",
    ]) {
      const kept = dialTls(https, ["http/1.1"]);
      kept.socket.write(`GET / HTTP/1.1\r\nHost: ${name}\r\n\r\n`);
      await waitUntil("the first answer", () => kept.heard().includes("HTTP/1.1 200"));
      kept.socket.write(open(host));
      await waitUntil("the second", () => /HTTP\/1.1 (?!200)/.test(kept.heard()));
      expect(kept.heard()).toContain("HTTP/1.1 421 ");
    }
    expect(other.opened).toEqual([]);
    const own = dial(http);
    own.socket.write(open("relay.example.com"));
    await waitUntil("an answer", () => own.heard().includes("HTTP/1.1"));
    expect(own.heard()).toMatch(/^HTTP\/1.1 (308|404)/);
  });
});

interface App extends EntranceUnderTest {
  readonly device: LocalDevice;
}

async function useApp(options: Parameters<typeof useEntrance>[0] = {}): Promise<App> {
  const entrance = await useEntrance(options);
  const { port } = await useSite();
  const device = new LocalDevice("lan-box", port);
  entrance.add(name, device);
  return { ...entrance, device };
}

/** A site that keeps every request line it hears, as another reader of the same bytes would see them. */
async function useRecorded(): Promise<App & { readonly requests: string[] }> {
  const requests: string[] = [];
  const server = createServer((socket) => {
    let text = "";
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      for (;;) {
        const end = text.indexOf("\r\n\r\n");
        if (end < 0) return;
        const head = text.slice(0, end);
        const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
        const chunked = /^transfer-encoding: *chunked/im.test(head);
        const bodyEnd = chunked ? text.indexOf("0\r\n\r\n", end) + 5 : end + 4 + length;
        if ((chunked && bodyEnd < 5) || text.length < bodyEnd) return;
        requests.push(head.split("\r\n")[0] ?? "");
        text = text.slice(bodyEnd);
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      }
    });
    onTestFinished(() => void socket.destroy());
  });
  const entrance = await useEntrance();
  const device = new LocalDevice("lan-box", await listenForTest(server));
  entrance.add(name, device);
  return { ...entrance, device, requests };
}

interface Visitor<S extends Socket = Socket> {
  readonly socket: S;
  readonly heard: () => string;
}

function dial(port: number, localAddress = "127.0.0.1"): Visitor {
  return listen(connect({ port, host: "127.0.0.1", localAddress }));
}

function dialTls(port: number, ALPNProtocols: string[], servername = name): Visitor<TLSSocket> {
  return listen(
    connectTls({ port, host: "127.0.0.1", servername, ALPNProtocols, rejectUnauthorized: false }),
  );
}

function listen<S extends Socket>(socket: S): Visitor<S> {
  let text = "";
  socket.on("error", () => undefined);
  socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  onTestFinished(() => void socket.destroy());
  return { socket, heard: () => text };
}

/** Says a text byte by byte, and never its end. */
function trickle(socket: Socket, text: string): void {
  let at = 0;
  const timer = setInterval(() => {
    if (socket.destroyed || at >= text.length - 1) clearInterval(timer);
    else socket.write(text[at++] ?? "");
  }, 200);
  onTestFinished(() => clearInterval(timer));
}

async function http2Raw(port: number): Promise<Visitor<TLSSocket>> {
  const visitor = dialTls(port, ["h2"]);
  await waitUntil("the handshake", () => visitor.socket.alpnProtocol === "h2");
  visitor.socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  visitor.socket.write(frame(4, 0, 0, Buffer.alloc(0)));
  return visitor;
}

/** A frame of HTTP/2 (RFC 9113 §4.1). */
function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** The fields of a request, as literals without indexing (RFC 7541 §6.2.2). */
function request(method: string, path: string): Buffer {
  return Buffer.concat([
    field(":method", method),
    field(":scheme", "https"),
    field(":authority", name),
    field(":path", path),
  ]);
}

function field(fieldName: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0]), text(fieldName), text(value)]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, "latin1");
  const length: number[] = [];
  if (bytes.length < 127) length.push(bytes.length);
  else {
    length.push(127);
    let rest = bytes.length - 127;
    for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}

/** What came back on stream 1 or for the connection: HEADERS, RST_STREAM or GOAWAY. */
function answered(heard: string): string {
  const bytes = Buffer.from(heard, "latin1");
  for (let at = 0; at + 9 <= bytes.length;) {
    const length = bytes.readUIntBE(at, 3);
    const type = bytes[at + 3];
    const payload = bytes.subarray(at + 9, at + 9 + length);
    if (type === 1) return `HEADERS ${payload.toString("hex").slice(0, 12)}`;
    if (type === 3) return `RST_STREAM ${payload.readUInt32BE(0)}`;
    if (type === 7) return `GOAWAY ${payload.readUInt32BE(4)}`;
    at += 9 + length;
  }
  return "";
}

function many(make: () => Buffer): Buffer[] {
  return Array.from({ length: 20 }, () => Buffer.concat(Array.from({ length: 1_000 }, make)));
}
