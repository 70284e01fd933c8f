import { once } from "node:events";
import { connect } from "node:net";
import { Counter } from "prom-client";
import { afterEach, expect, test } from "vitest";
import { AdminServer } from "./admin-server.ts";
import { silentLog } from "./log.ts";
import { createRegistry } from "./registry.ts";

const registry = createRegistry();
const moved = new Counter({ name: "culvert_test_total", help: "A test.", registers: [registry] });
let reasons: string[] = [];
const opened: AdminServer[] = [];

async function started(port = 0) {
  const server = new AdminServer(
    { log: silentLog, registry, notReady: () => reasons },
    { host: "127.0.0.1", port },
  );
  opened.push(server);
  return server.listen();
}

afterEach(async () => {
  reasons = [];
  for (const server of opened.splice(0)) await server.close();
});

test("/metrics gives the registry, the process and the event loop's lag", async () => {
  const { port } = await started();
  moved.inc(3);
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  const text = await response.text();
  expect(response.headers.get("content-type")).toContain("text/plain; version=0.0.4");
  expect(text).toContain("culvert_test_total 3");
  expect(text).toMatch(/^nodejs_eventloop_lag_seconds /m);
  expect(text).toMatch(/^process_cpu_seconds_total /m);
});

test("/healthz is 200 while /readyz gives its reasons, and then 200", async () => {
  const { port } = await started();
  reasons = ["no session with the relay", "draining"];
  const before = await fetch(`http://127.0.0.1:${port}/readyz`);
  expect([before.status, await before.text()]).toEqual([
    503,
    "no session with the relay\ndraining\n",
  ]);
  expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
  reasons = [];
  expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(200);
});

test("other paths are 404 and other methods 405", async () => {
  const { port } = await started();
  expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(404);
  const posted = await fetch(`http://127.0.0.1:${port}/metrics`, { method: "POST", body: "x" });
  expect([posted.status, posted.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
});

test("a port in use is named together with its key", async () => {
  const { port } = await started();
  await expect(started(port)).rejects.toMatchObject({
    code: "address_in_use",
    message: expect.stringContaining(`127.0.0.1:${port} (admin.listen) is in use`) as string,
  });
});

test("close ends connections that are idle or half sent", async () => {
  const { port } = await started();
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  socket.write("GET /metrics HTTP/1.1\r\nHost:");
  socket.on("error", () => undefined);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  await opened[0]!.close();
  await closed;
});

test("garbage is answered with 400 and oversized headers with 431", async () => {
  const { port } = await started();
  expect(await raw(port, "\x16\x03\x01 no http\r\n\r\n")).toContain("400 Bad Request");
  const long = `GET /healthz HTTP/1.1\r\nx: ${"a".repeat(20_000)}\r\n\r\n`;
  expect(await raw(port, long)).toContain("431 Request Header Fields Too Large");
});

async function raw(port: number, text: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  let answer = "";
  socket.on("data", (chunk) => (answer += chunk.toString()));
  socket.write(text);
  await new Promise((resolve) => socket.once("close", resolve));
  return answer;
}
