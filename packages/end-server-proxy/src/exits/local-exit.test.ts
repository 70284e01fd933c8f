import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { millis, systemClock, type Clock } from "@culvert/runtime";
import { Status } from "@culvert/wire";
import { afterEach, expect, test, vi } from "vitest";
import { AllowList, type ServiceTarget } from "./allow-list.ts";
import { dialError } from "./dial.ts";
import { LocalExit } from "./local-exit.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const never = new AbortController().signal;

async function listening(
  where: { host?: string; path?: string },
  serve: (socket: Socket) => void = (socket) => socket.pipe(socket),
): Promise<number> {
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    cleanups.push(() => socket.destroy());
    socket.on("error", () => undefined);
    serve(socket);
  });
  server.listen(where.path === undefined ? { port: 0, ...where } : where);
  await once(server, "listening");
  cleanups.push(() => server.close());
  return where.path === undefined ? (server.address() as AddressInfo).port : 0;
}

function exitTo(
  services: Record<string, ServiceTarget>,
  options: {
    readonly clock?: Clock;
    readonly lookup?: (host: string) => Promise<readonly string[]>;
    readonly allow?: { readonly host: string; readonly bits?: number; readonly port: number };
  } = {},
): LocalExit {
  const { allow } = options;
  const rules =
    allow === undefined
      ? []
      : [
          {
            text: allow.host,
            host: allow.host,
            prefixBits: allow.bits,
            ports: [{ first: allow.port, last: allow.port }],
          },
        ];
  return new LocalExit(
    { clock: options.clock ?? systemClock, lookup: options.lookup },
    {
      allowList: new AllowList({ services: new Map(Object.entries(services)), rules }),
      connectTimeout: millis(5000),
    },
  );
}

function readAll(stream: Duplex): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
    stream.once("end", () => resolve(text));
    stream.once("error", reject);
  });
}

test("a TCP service is reached, with half-close", async () => {
  const port = await listening({ host: "127.0.0.1" });
  const exit = exitTo({ echo: { kind: "tcp", host: "127.0.0.1", port } });
  const stream = await exit.connect("echo", never);
  stream.end("hello");
  expect(await readAll(stream)).toBe("hello");
});

test.skipIf(process.platform === "win32")("a Unix socket is reached, with half-close", async () => {
  const directory = await mkdtemp(join(tmpdir(), "exit-"));
  cleanups.push(() => rm(directory, { recursive: true }));
  const path = join(directory, "echo.sock");
  await listening({ path });
  const exit = exitTo({
    echo: { kind: "unix", path },
    gone: { kind: "unix", path: join(directory, "none.sock") },
  });
  const stream = await exit.connect("echo", never);
  stream.end("hello");
  expect(await readAll(stream)).toBe("hello");
  await expect(exit.connect("gone", never)).rejects.toMatchObject({
    status: Status.target_refused,
  });
});

test("localhost is reached on whichever loopback address listens", async () => {
  const port = await listening({ host: "127.0.0.1" });
  const exit = exitTo({ echo: { kind: "tcp", host: "localhost", port } });
  const stream = await exit.connect("echo", never);
  stream.end("4");
  expect(await readAll(stream)).toBe("4");
});

test("a closed port is refused, by what the message names", async () => {
  const port = await listening({ host: "127.0.0.1" });
  await cleanups.pop()!();
  const exit = exitTo({ gone: { kind: "tcp", host: "127.0.0.1", port } });
  await expect(exit.connect("gone", never)).rejects.toMatchObject({
    name: "ExitError",
    status: Status.target_refused,
    message: `127.0.0.1:${port} refused the connection (ECONNREFUSED)`,
  });
});

test("a name without addresses is unreachable", async () => {
  const exit = exitTo({ gone: { kind: "tcp", host: "no-such-host.invalid", port: 22 } });
  await expect(exit.connect("gone", never)).rejects.toMatchObject({
    status: Status.target_unreachable,
  });
});

test("a target that never answers is a time-out, and its socket is released", async () => {
  let expire = (): void => undefined;
  const clock: Clock = {
    ...systemClock,
    setTimer(delay, callback) {
      expect(delay).toBe(5000);
      expire = callback;
      return { cancel: () => undefined };
    },
  };
  // An address for documentation leads nowhere; no answer of a router can come before the timer below.
  const exit = exitTo({ hole: { kind: "tcp", host: "192.0.2.1", port: 9 } }, { clock });
  const connecting = exit.connect("hole", never);
  expire();
  await expect(connecting).rejects.toMatchObject({ status: Status.target_timeout });
});

test("a caller that goes away ends the attempt", async () => {
  const controller = new AbortController();
  const exit = exitTo({ hole: { kind: "tcp", host: "192.0.2.1", port: 9 } });
  const connecting = exit.connect("hole", controller.signal);
  controller.abort();
  await expect(connecting).rejects.toMatchObject({ code: "aborted" });
});

test("an address that was looked up is dialled only if a rule covers it", async () => {
  const port = await listening({ host: "127.0.0.1" });
  const lookup = vi.fn(() => Promise.resolve(["198.51.100.1", "127.0.0.1"]));
  const exit = exitTo({}, { lookup, allow: { host: "127.0.0.0", bits: 8, port } });
  const stream = await exit.connect(`rebinding.example:${port}`, never);
  stream.end("x");
  expect(await readAll(stream)).toBe("x");
  expect(lookup).toHaveBeenCalledTimes(1);

  lookup.mockResolvedValue(["198.51.100.1", "::1"]);
  await expect(exit.connect(`rebinding.example:${port}`, never)).rejects.toMatchObject({
    status: Status.permission_denied_by_server,
  });
});

test("a resolver that fails or hangs is answered for", async () => {
  const allow = { host: "127.0.0.0", bits: 8, port: 80 };
  const failing = exitTo(
    {},
    { allow, lookup: () => Promise.reject(Object.assign(new Error("no"), { code: "ENOTFOUND" })) },
  );
  await expect(failing.connect("nobody.example:80", never)).rejects.toMatchObject({
    status: Status.target_unreachable,
    message: "nobody.example cannot be reached (ENOTFOUND)",
  });
  const clock: Clock = {
    ...systemClock,
    setTimer(_delay, callback) {
      queueMicrotask(callback);
      return { cancel: () => undefined };
    },
  };
  const hanging = exitTo({}, { allow, clock, lookup: () => new Promise(() => undefined) });
  await expect(hanging.connect("slow.example:80", never)).rejects.toMatchObject({
    status: Status.target_timeout,
  });
});

test("refusals carry their status", async () => {
  const exit = exitTo({});
  await expect(exit.connect("22", never)).rejects.toMatchObject({
    status: Status.permission_denied_by_server,
    message: '"22" is not on the allow list',
  });
  await expect(exit.connect("127.1:22", never)).rejects.toMatchObject({ status: Status.malformed });
});

test("a target's reset right after its last bytes is no end, and ours is none to it", async () => {
  const port = await listening({ host: "127.0.0.1" }, (socket) =>
    socket.once("data", (chunk) => socket.write(chunk, () => socket.resetAndDestroy())),
  );
  const exit = exitTo({ cut: { kind: "tcp", host: "127.0.0.1", port } });
  for (let round = 0; round < 20; round += 1) {
    const stream = await exit.connect("cut", never);
    stream.write("x");
    await expect(readAll(stream)).rejects.toMatchObject({ code: "stream_reset" });
  }
  const outcome = new Promise((resolve) => {
    void listening({ host: "127.0.0.1" }, (socket) => {
      socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code));
      socket.once("end", () => resolve("end"));
      socket.resume();
    }).then(async (other) => {
      const stream = await exitTo({ t: { kind: "tcp", host: "127.0.0.1", port: other } }).connect(
        "t",
        never,
      );
      stream.destroy(new Error("the client is gone"));
    });
  });
  expect(await outcome).toBe("ECONNRESET");
});

test.each([
  [["ECONNREFUSED"], Status.target_refused],
  [["ENETUNREACH", "ECONNREFUSED"], Status.target_refused],
  [["ETIMEDOUT"], Status.target_timeout],
  [["ETIMEDOUT", "EHOSTUNREACH"], Status.target_timeout],
  [["EHOSTUNREACH"], Status.target_unreachable],
  [["EACCES"], Status.target_unreachable],
  [["EADDRNOTAVAIL"], Status.target_unreachable],
])("system errors %j are status %s", (codes, status) => {
  const errors = codes.map((code) => Object.assign(new Error(code), { code }));
  expect(dialError("host:1", new AggregateError(errors))).toMatchObject({ status });
});

test("being out of descriptors is a limit of ours, not the target's fault", () => {
  const error = Object.assign(new Error("EMFILE"), { code: "EMFILE" });
  expect(dialError("host:1", error)).toMatchObject({
    name: "LimitError",
    data: { limit: "descriptors" },
  });
});
