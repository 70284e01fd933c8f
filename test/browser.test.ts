import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { chromium, type BrowserContext } from "playwright-core";
import { WebSocketServer } from "ws";
import { describe, expect, it, onTestFailed, onTestFinished } from "vitest";
import { Child } from "./support/child.ts";
import { culvertPath } from "./support/culvert.ts";
import { findProgram, missing } from "./support/requires.ts";
import { endWithTest, useTempFolder } from "./support/temp-folder.ts";
import { useTrial } from "./support/trial.ts";
import { waitUntil } from "./support/wait.ts";

const name = "app.example.com";
const assets = 50;
/** Of each asset, bytes. */
const assetBytes = 100_000;

/** A site whose page loads its assets, talks by WebSocket, and says when all that has worked. */
async function website(): Promise<number> {
  const server = createServer((request, response) => {
    if (request.url === "/") {
      response.setHeader("content-type", "text/html");
      response.end(page());
    } else if (request.url?.startsWith("/asset/") === true) {
      const number = Number(request.url.slice("/asset/".length));
      response.setHeader("content-type", "text/javascript");
      response.end(`window.loaded.add(${number});//${"x".repeat(assetBytes)}`);
    } else {
      response.statusCode = 404;
      response.end();
    }
  });
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => {
    socket.on("message", (data) => socket.send(data, { binary: false }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const client of sockets.clients) client.terminate();
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

function page(): string {
  const scripts = Array.from({ length: assets }, (_, at) => `<script src="/asset/${at}"></script>`);
  return `<!doctype html><title>site</title>
<script>
window.loaded = new Set();
const socket = new WebSocket("wss://" + location.host + "/chat");
socket.onopen = () => socket.send("hello");
socket.onmessage = ({ data }) => { window.said = data; };
</script>
${scripts.join("\n")}`;
}

/** A browser with a profile of its own that finds the name at this machine. */
async function useBrowser(): Promise<BrowserContext> {
  const context = await chromium.launchPersistentContext(await useTempFolder(), {
    executablePath: findProgram("chromium") ?? "chromium",
    headless: true,
    ignoreHTTPSErrors: true,
    args: [
      ...["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
      ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
      `--host-resolver-rules=MAP ${name} 127.0.0.1`,
    ],
  });
  onTestFinished(() => context.close());
  return context;
}

describe.skipIf(missing("chromium"))("a browser at the public entrance", () => {
  it.each([
    ["by QUIC", ["quic", "wss"]],
    ["by WebSocket, as where UDP is blocked", ["wss"]],
  ])(
    "loads a page with 50 assets and a WebSocket from a local server, %s",
    async (_how, transports) => {
      const trial = await useTrial();
      await trial.edit("relay", (config) => {
        config["public"] = { names: [{ server: "lan-box", names: [name] }] };
      });
      await trial.edit("server", (config) => {
        config["transports"] = transports;
      });
      await trial.start(["relay"]);
      const lines: string[] = [];
      const expose = new Child(process.execPath, [
        ...[culvertPath, "expose", String(await website()), "--name", name, "--json"],
        ...["--config", trial.configFile("server")],
      ]);
      createInterface(expose.stdout).on("line", (line) => lines.push(line));
      expose.stderr.resume();
      endWithTest(expose);
      onTestFailed(() => {
        console.error(lines.join("\n"));
      });
      await waitUntil("the name is public", () => lines.some((line) => line.includes('"open"')), {
        withinMs: 15_000,
      });

      const browser = await useBrowser();
      const tab = await browser.newPage();
      const failures: string[] = [];
      tab.on("requestfailed", (request) => failures.push(request.url()));
      tab.on("pageerror", (error) => failures.push(error.message));
      const answer = await tab.goto(`https://${name}:${trial.webPort}/`);
      expect(answer?.status()).toBe(200);
      await tab.waitForFunction("window.said !== undefined", undefined, { timeout: 10_000 });
      expect(await tab.evaluate("window.said")).toBe("hello");
      expect(await tab.evaluate("window.loaded.size")).toBe(assets);
      expect(failures).toEqual([]);

      const requests = lines
        .map((line) => JSON.parse(line) as { event: string; path?: string; status?: number })
        .filter(({ event, path }) => event === "request" && path !== "/favicon.ico");
      expect(requests.filter(({ status }) => status === 200)).toHaveLength(assets + 1);
      expect(requests.filter(({ status }) => status === 101)).toHaveLength(1);
    },
    60_000,
  );
});
