import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { describe, expect, it, onTestFinished } from "vitest";
import type { PublicDevice } from "@culvert/relay/web";
import { watchForCrashes, type CrashWatch } from "@culvert/testkit";
import { LocalDevice, useEntrance, useSite } from "./support/public-entrance.ts";
import { waitUntil } from "./support/wait.ts";

const name = "app.example.com";
const host = `Host: ${name}\r\n`;
const webSocket =
  `GET /ws HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\n` +
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const h2c = `GET /h2c HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n`;
const withBody = `GET / HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 4\r\n\r\nGET `;

describe("an upgrade in one packet behind a request", () => {
  const firsts = [
    ["a site's", `GET /first HTTP/1.1\r\n${host}\r\n`],
    ["two of a site's", `GET /first HTTP/1.1\r\n${host}\r\n`.repeat(2)],
    ["one for the relay itself", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"],
    ["one for nobody", "GET / HTTP/1.1\r\nHost: nobody.example.com\r\n\r\n"],
    ["one without Host", "GET / HTTP/1.1\r\n\r\n"],
    [
      "one that expects what nobody does",
      `POST / HTTP/1.1\r\n${host}Expect: tea\r\nContent-Length: 1\r\n\r\nx`,
    ],
    [
      "one that waits to be told to go on",
      `POST / HTTP/1.1\r\n${host}Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx`,
    ],
  ] as const;
  const seconds = [
    ["a WebSocket", webSocket],
    ["a WebSocket of the relay itself", webSocket.replace(name, "127.0.0.1")],
    ["h2c", h2c],
    ["h2c with a body", withBody],
  ] as const;
  const cases = firsts.flatMap(([what, first]) =>
    seconds.map(([then, second]) => [what, then, first, second] as const),
  );
  it.each(cases)(
    "%s, then %s: the connection ends, in clear and within TLS, and others are served",
    async (_what, _then, first, second) => {
      const crashes = useCrashWatch();
      const { http, https, plain, add, metric } = await useEntrance();
      const { port } = await useSite();
      add(name, new LocalDevice("lan-box", port));
      for (const visitor of [
        listen(connect(http, "127.0.0.1")),
        listen(connect(plain, "127.0.0.1")),
        dialTls(https, name),
        dialTls(https, undefined),
      ]) {
        visitor.socket.write(first + second);
        await waitUntil("the end", () => visitor.socket.closed);
        expect(visitor.heard()).not.toMatch(/HTTP\/1.1 101 /);
        expect(crashes.take()).toEqual([]);
      }
      const other = listen(connect(http, "127.0.0.1"));
      other.socket.write(`GET / HTTP/1.1\r\n${host}Connection: close\r\n\r\n`);
      await waitUntil("another visitor's answer", () => other.heard().includes("HTTP/1.1 200"));
      await waitUntil("nobody to be inside", async () => {
        return (await metric("culvert_relay_public_connections")) === 0;
      });
    },
  );

  it("also where the answer before is still on its way from a device that takes its time", async () => {
    const crashes = useCrashWatch();
    const { http, add, metric } = await useEntrance();
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
    add(name, device);
    const { socket } = listen(connect(http, "127.0.0.1"));
    socket.write(`GET / HTTP/1.1\r\n${host}\r\n`.repeat(3));
    socket.write(webSocket);
    await waitUntil("the end", () => socket.closed);
    await waitUntil("the streams to be given up", () => aborted === 3);
    await waitUntil("nobody to be inside", async () => {
      return (await metric("culvert_relay_public_connections")) === 0;
    });
    expect(crashes.take()).toEqual([]);
  });
});

it("a WebSocket on a kept connection, asked for when the answer before has come, is opened", async () => {
  const { http, add } = await useEntrance();
  const { server, port } = await useSite();
  server.on("upgrade", (_request, socket) => {
    socket.end(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
  });
  add(name, new LocalDevice("lan-box", port));
  const { socket, heard } = listen(connect(http, "127.0.0.1"));
  socket.write(`GET /first HTTP/1.1\r\n${host}\r\n`);
  await waitUntil("the first answer", () => heard().includes('"bodyBytes":0}'));
  socket.write(webSocket);
  await waitUntil("the WebSocket", () => heard().includes("HTTP/1.1 101 "));
});

/** What nobody caught: a relay would have ended by it. */
function useCrashWatch(): CrashWatch {
  const watch = watchForCrashes();
  onTestFinished(() => watch.stop());
  return watch;
}

interface Visitor {
  readonly socket: Socket;
  readonly heard: () => string;
}

function dialTls(port: number, servername: string | undefined): Visitor {
  return listen(
    connectTls({
      ...{ port, host: "127.0.0.1", ALPNProtocols: ["http/1.1"], rejectUnauthorized: false },
      ...(servername === undefined ? {} : { servername }),
    }),
  );
}

function listen(socket: Socket): Visitor {
  let text = "";
  socket.on("error", () => undefined);
  socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  onTestFinished(() => void socket.destroy());
  return { socket, heard: () => text };
}
