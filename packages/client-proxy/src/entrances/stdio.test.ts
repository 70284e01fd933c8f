import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Socket } from "node:net";
import { PassThrough } from "node:stream";
import { fileURLToPath } from "node:url";
import { Status } from "@culvert/wire";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ConnectRefused } from "./connect-refused.ts";
import { StdioStream } from "./stdio-stream.ts";
import { runStdio } from "./stdio.ts";
import {
  echo,
  LoopbackConnector,
  readAll,
  startEndServer,
  type EndServer,
} from "./testing/loopback-connector.ts";

let serve: (socket: Socket) => void;
let endServer: EndServer;
let connector: LoopbackConnector;

beforeEach(async () => {
  serve = echo;
  endServer = await startEndServer((socket) => serve(socket));
  connector = new LoopbackConnector(() => endServer.port);
});

afterEach(() => endServer.close());

function run(signal = new AbortController().signal) {
  const input = new PassThrough();
  const output = new PassThrough();
  const ended = runStdio(
    { connector },
    { server: "lan-box", target: "ssh", stream: new StdioStream(input, output), signal },
  );
  return { input, output, ended };
}

test("bytes go both ways, ends are carried, and the result says how much", async () => {
  const { input, output, ended } = run();
  const sent = randomBytes(3_000_000);
  const received: Buffer[] = [];
  output.on("data", (chunk: Buffer) => received.push(chunk));
  input.end(sent);
  const result = await ended;
  expect(result).toEqual({
    leftToRightBytes: sent.length,
    rightToLeftBytes: sent.length,
    failure: undefined,
  });
  expect(hash(Buffer.concat(received))).toBe(hash(sent));
  expect(connector.results).toEqual([result]);
  expect(connector.requests[0]).toMatchObject({
    server: "lan-box",
    target: "ssh",
    clientPort: 0,
    entrance: "stdio",
  });
  expect(input.destroyed).toBe(true);
});

test("an input that is empty from the start is carried as an end", async () => {
  serve = (socket) => void readAll(socket).then((all) => socket.end(`heard ${all.length}`));
  const { input, output, ended } = run();
  input.end();
  const heard = once(output, "data");
  expect((await ended).failure).toBeUndefined();
  expect(String((await heard)[0])).toBe("heard 0");
});

test("a refusal is thrown, and the near end is released", async () => {
  connector.instead = () =>
    Promise.reject(new ConnectRefused(Status.server_offline, "lan-box is offline", "relay"));
  const { input, output, ended } = run();
  await expect(ended).rejects.toMatchObject({ status: Status.server_offline });
  expect([input.destroyed, output.destroyed]).toEqual([true, true]);
});

test("an output that nobody reads any more resets the connection", async () => {
  const { input, output, ended } = run();
  input.write("x");
  await once(output, "data");
  output.destroy();
  expect((await ended).failure).toMatchObject({ side: "left" });
  await vi.waitFor(() => expect(endServer.sockets.size).toBe(0));
});

test("a reset on the way is a failure of the far side", async () => {
  serve = (socket) => socket.once("data", () => socket.resetAndDestroy());
  const { input, ended } = run();
  input.write("x");
  expect((await ended).failure).toMatchObject({ side: "right", error: { code: "stream_reset" } });
});

test("the signal ends a pending attempt and an open connection", async () => {
  const first = new AbortController();
  connector.instead = ({ signal }) =>
    new Promise((_, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason as Error)),
    );
  const pending = run(first.signal);
  await vi.waitFor(() => expect(connector.requests).toHaveLength(1));
  first.abort(new Error("interrupted"));
  await expect(pending.ended).rejects.toThrow("interrupted");

  connector.instead = undefined;
  const second = new AbortController();
  const open = run(second.signal);
  open.input.write("x");
  await once(open.output, "data");
  second.abort(new Error("interrupted"));
  expect((await open.ended).failure).toMatchObject({ side: "left" });
});

describe.skipIf(process.platform === "win32")("in a process of its own", () => {
  const children: ChildProcessWithoutNullStreams[] = [];
  afterEach(() => {
    for (const child of children.splice(0)) child.kill();
  });

  /** Through real pipes, as ssh makes them; Node's own would be sockets. */
  function start(): ChildProcessWithoutNullStreams {
    const script = fileURLToPath(new URL("testing/stdio-child.ts", import.meta.url));
    const node = `"${process.execPath}" --import tsx --conditions=@culvert/source "${script}" ${endServer.port}`;
    const child = spawn("sh", ["-c", `cat | exec ${node} | { cat; echo "<end>"; }`]);
    children.push(child);
    return child;
  }

  test("the far end's end closes standard output while standard input goes on", async () => {
    const heard = new Promise<string>((resolve) => {
      serve = (socket) => {
        socket.end("greeting");
        void readAll(socket).then((all) => resolve(String(all)));
      };
    });
    const child = start();
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    await vi.waitFor(() => expect(output).toBe("greeting<end>\n"), { timeout: 15_000 });
    const status = once(child.stderr, "data");
    child.stdin.end("still heard");
    expect(await heard).toBe("still heard");
    expect(String((await status)[0])).toBe("no failure\n");
  });

  test("megabytes go through and back, and the process ends by itself", async () => {
    const child = start();
    const received: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => received.push(chunk));
    const sent = randomBytes(5_000_000);
    child.stdin.end(sent);
    await once(child, "close");
    expect(hash(Buffer.concat(received))).toBe(hash(Buffer.concat([sent, Buffer.from("<end>\n")])));
  });
});

function hash(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

test("an output that never says it has finished, as Node's for files, does not cut the other direction", async () => {
  serve = (socket) => {
    socket.end("first and last words");
    socket.on("data", (chunk: Buffer) => (received += chunk.length));
  };
  let received = 0;
  const input = new PassThrough();
  const output = new PassThrough();
  Object.defineProperty(output, "writableFinished", { value: false });
  output.resume();
  const ended = runStdio(
    { connector },
    {
      server: "lan-box",
      target: "ssh",
      stream: new StdioStream(input, output),
      signal: new AbortController().signal,
    },
  );
  await once(output, "close");
  input.end(randomBytes(500_000));
  expect((await ended).failure).toBeUndefined();
  await vi.waitFor(() => expect(received).toBe(500_000));
});
