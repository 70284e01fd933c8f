import { connect, createServer } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { systemClock, type Clock } from "@culvert/runtime";
import { SocksProxy } from "./socks-proxy.ts";
import { waitUntil } from "@culvert/testkit";
import { closedPort, listening, proxyOn, sayTo, slowLookup } from "./proxy-fixture.test-data.ts";

const socksProxy = () => proxyOn((deps) => new SocksProxy(deps));
const echo = () =>
  listening(createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)));

const portBytes = (port: number): number[] => [port >> 8, port & 255];
const text = (value: string): number[] => [...Buffer.from(value)];
const latin1 = (bytes: readonly number[]): string => Buffer.from(bytes).toString("latin1");
const loopback = [127, 0, 0, 1];

it("4: an address, and what the client sent at once", async () => {
  const [proxy, port] = await Promise.all([socksProxy(), echo()]);
  const destination = [...portBytes(port), ...loopback];
  const said = Uint8Array.of(4, 1, ...destination, ...text("me"), 0, ...text("early"));
  expect(await sayTo(proxy.port, said, true)).toBe(latin1([0, 0x5a, ...destination]) + "early");
  expect(proxy.dialled).toEqual([`system 127.0.0.1:${port}`]);
});

it("4a: a name", async () => {
  const [proxy, port] = await Promise.all([socksProxy(), echo()]);
  const destination = [...portBytes(port), 0, 0, 0, 1];
  const said = Uint8Array.of(4, 1, ...destination, 0, ...text("web"), 0, ...text("hi"));
  expect(await sayTo(proxy.port, said, true)).toBe(latin1([0, 0x5a, ...destination]) + "hi");
  expect(proxy.dialled).toEqual([`mesh web:${port}`]);
});

it("4: a closed port, and BIND, are rejected", async () => {
  const [proxy, port] = await Promise.all([socksProxy(), closedPort()]);
  const destination = [...portBytes(port), ...loopback];
  for (const command of [1, 2]) {
    const answer = await sayTo(proxy.port, Uint8Array.of(4, command, ...destination, 0));
    expect(answer).toBe(latin1([0, 0x5b, ...destination]));
  }
});

it.each([
  ["none", [5, 1, 0], [5, 0]],
  ["any user and password, where they are offered", [5, 2, 0, 2, 1, 1, 97, 1, 98], [5, 2, 1, 0]],
])("5: a name, authentication %s", async (_what, greeting, answered) => {
  const [proxy, port] = await Promise.all([socksProxy(), echo()]);
  const destination = [3, 3, ...text("web"), ...portBytes(port)];
  const said = Uint8Array.of(...greeting, 5, 1, 0, ...destination, ...text("hi"));
  const answer = await sayTo(proxy.port, said, true);
  expect(answer).toBe(latin1([...answered, 5, 0, 0, ...destination]) + "hi");
  expect(proxy.dialled).toEqual([`mesh web:${port}`]);
});

it.each([
  ["a closed port in the virtual network", [3, 3, ...text("web")], 1, 1],
  ["a closed port of the system", [1, ...loopback], 1, 5],
  ["BIND", [1, ...loopback], 2, 7],
  ["UDP", [1, ...loopback], 3, 7],
])("5: %s", async (_what, address, command, reply) => {
  const [proxy, port] = await Promise.all([socksProxy(), closedPort()]);
  const destination = [...address, ...portBytes(port)];
  const answer = await sayTo(proxy.port, Uint8Array.of(5, 1, 0, 5, command, 0, ...destination));
  expect(answer).toBe(latin1([5, 0, 5, reply, 0, ...destination]));
});

it("5: a client that wants GSSAPI alone is told no", async () => {
  const proxy = await socksProxy();
  expect(await sayTo(proxy.port, Uint8Array.of(5, 1, 1))).toBe(latin1([5, 0xff]));
});

it.each(["GET / HTTP/1.1\r\n\r\n", "\x05\x01\x00\x04"])("%j ends the connection", async (said) => {
  const proxy = await socksProxy();
  const socket = connect(proxy.port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  socket.write(said);
  await new Promise((resolve) =>
    socket
      .on("error", () => undefined)
      .on("close", resolve)
      .resume(),
  );
  expect(proxy.dialled).toEqual([]);
});

it("who says nothing is cut off after the deadline", async () => {
  const deadlines: (() => void)[] = [];
  const clock: Clock = {
    ...systemClock,
    setTimer: (delay, callback) => {
      expect(delay).toBe(10_000);
      deadlines.push(callback);
      return { cancel: () => undefined };
    },
  };
  const proxy = await proxyOn((deps) => new SocksProxy({ ...deps, clock }));
  const socket = connect(proxy.port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  const closed = new Promise((resolve) => socket.on("error", () => undefined).on("close", resolve));
  socket.resume();
  socket.write(Uint8Array.of(5, 1, 0));
  await new Promise((resolve) => socket.once("data", resolve));
  for (const expire of deadlines) expire();
  await closed;
});

it("of a client that leaves while its name is looked up, nothing is left", async () => {
  const lookup = slowLookup();
  const proxy = await proxyOn((deps) => new SocksProxy(deps), lookup);
  const socket = connect(proxy.port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write(Uint8Array.of(5, 1, 0, 5, 1, 0, 3, 3, ...text("web"), 0, 80));
  await waitUntil(() => lookup.asked.length === 1, { what: "the look-up" });
  socket.resetAndDestroy();
  await waitUntil(() => lookup.asked[0]?.aborted, { what: "the look-up to be given up" });
  lookup.goOn();
  await new Promise((resolve) => setImmediate(resolve));
  expect(proxy.dialled).toEqual([]);
});
