import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { millis } from "@culvert/runtime";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { silentLog } from "./log.ts";
import { queryStatus } from "./query-status.ts";
import { statusAddress } from "./status-socket.ts";
import { StatusServer } from "./status-server.ts";

describe.skipIf(process.platform === "win32")("status over a Unix socket", () => {
  let folder = "";
  let path = "";
  const opened: StatusServer[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "culvert-status-"));
    path = join(folder, "relay.sock");
  });

  afterEach(async () => {
    for (const server of opened.splice(0)) await server.close();
    rmSync(folder, { recursive: true });
  });

  function server(status: () => unknown = () => ({ role: "relay" })): StatusServer {
    const made = new StatusServer({ log: silentLog, status }, path);
    opened.push(made);
    return made;
  }

  test("the socket is its owner's alone, answers, and goes away", async () => {
    const one = server();
    await one.listen();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await queryStatus(path)).toEqual({ role: "relay" });
    await one.close();
    expect(existsSync(path)).toBe(false);
  });

  test("a folder that is not there is what the error says", async () => {
    path = join(folder, "missing", "relay.sock");
    await expect(server().listen()).rejects.toMatchObject({
      code: "address_unavailable",
      message: expect.stringContaining(`the folder ${folder}/missing does not exist`) as string,
    });
  });

  test("a second daemon with the same configuration is refused, and the first goes on", async () => {
    await server().listen();
    await expect(server().listen()).rejects.toMatchObject({
      code: "address_in_use",
      message: expect.stringContaining("a daemon with this configuration already runs") as string,
    });
    expect(await queryStatus(path)).toEqual({ role: "relay" });
  });

  test("the socket of a killed process is replaced", async () => {
    const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
    spawnSync(process.execPath, ["-e", script]);
    expect(existsSync(path)).toBe(true);
    await server().listen();
    expect(await queryStatus(path)).toEqual({ role: "relay" });
  });

  test("a file in the way is left alone", async () => {
    writeFileSync(path, "precious");
    await expect(server().listen()).rejects.toMatchObject({ code: "bad_config" });
    expect(statSync(path).size).toBe(8);
  });

  test("nobody there is told in one sentence", async () => {
    await expect(queryStatus(path)).rejects.toMatchObject({
      code: "dial_failed",
      message: `no daemon with this configuration runs here: nothing answers at ${path}`,
    });
  });

  test("a status that cannot be told is an answer, not a crash", async () => {
    const one = server(() => {
      throw new Error("broken");
    });
    await one.listen();
    await expect(queryStatus(path)).rejects.toMatchObject({ code: "refused" });
  });

  test("a daemon that never answers, or answers too much, is given up", async () => {
    const odd = createServer((request, response) => {
      if (request.headers.host === undefined) return;
      response.write("x".repeat(4_096));
    });
    await new Promise<void>((resolve) => odd.listen(path, resolve));
    await expect(queryStatus(path, { limit: millis(50) })).rejects.toMatchObject({
      code: "timeout",
    });
    await expect(queryStatus(path, { maxBytes: 1_024 })).rejects.toMatchObject({
      code: "queue_full",
    });
    odd.closeAllConnections();
    await new Promise((resolve) => odd.close(resolve));
  });
});

test("a path longer than a socket address is refused with its length and the limit", () => {
  const path = `/${"a".repeat(107)}`;
  expect(() => statusAddress(path, "linux")).toThrow(/has 108 bytes.*at most 107/);
  expect(() => statusAddress(path.slice(0, 104), "darwin")).toThrow(/at most 103/);
  expect(statusAddress(path.slice(0, 107), "linux")).toHaveLength(107);
});

test("on Windows the pipe's name follows from the path, whatever its case", () => {
  const name = statusAddress("C:\\Culvert\\relay.sock", "win32");
  expect(name).toMatch(/^\\\\\.\\pipe\\culvert-[0-9a-f]{32}$/);
  expect(statusAddress("c:\\culvert\\RELAY.sock", "win32")).toBe(name);
});
