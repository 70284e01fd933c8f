import { once } from "node:events";
import { createSecureServer } from "node:http2";
import { connect as connectTcp, createServer as createTcpServer } from "node:net";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { run, type RunResult } from "./support/child.ts";
import {
  listenForTest,
  LocalDevice,
  makeCertificate,
  useEntrance,
  useSite,
  type Told,
} from "./support/public-entrance.ts";
import { missing } from "./support/requires.ts";
import { waitUntil, within } from "./support/wait.ts";

describe.skipIf(missing("curl", "openssl"))("a public name, by real clients", () => {
  for (const [version, flags] of [
    ["HTTP/1.1 over TLS 1.2", ["--http1.1", "--tlsv1.2", "--tls-max", "1.2"]],
    ["HTTP/1.1 over TLS 1.3", ["--http1.1", "--tlsv1.3"]],
    ["HTTP/2 over TLS 1.2", ["--http2", "--tlsv1.2", "--tls-max", "1.2"]],
    ["HTTP/2 over TLS 1.3", ["--http2", "--tlsv1.3"]],
  ] as const) {
    it(`curl reaches a site by ${version}, TLS ended at the relay with its certificate`, async () => {
      const { https, entrance, curl } = await useEndedSite();
      const got = await curl("/a/b?c", [...flags, "-w", "\n%{http_version}"]);
      const [body = "", spoken] = got.stdout.split("\n");
      expect(spoken).toBe(version.includes("HTTP/2") ? "2" : "1.1");
      expect(JSON.parse(body)).toMatchObject({
        method: "GET",
        url: "/a/b?c",
        headers: {
          host: `app.example.com:${https}`,
          "x-forwarded-for": "127.0.0.1",
          "x-forwarded-proto": "https",
          "x-forwarded-host": `app.example.com:${https}`,
        },
      });
      expect(entrance.names.size).toBe(1);
    });
  }

  it("a large body arrives whole in both directions, by HTTP/1.1 and HTTP/2", async () => {
    const megabytes = 8;
    const { curl } = await useEndedSite();
    for (const flag of ["--http1.1", "--http2"]) {
      const body = Buffer.alloc(megabytes * 1_048_576, "culvert");
      const got = await curl("/", [flag, "--data-binary", "@-"], body);
      expect(JSON.parse(got.stdout)).toMatchObject({ method: "POST", bodyBytes: body.length });
      const chunked = await curl("/", [flag, "-T", "-"], body);
      expect(JSON.parse(chunked.stdout)).toMatchObject({ method: "PUT", bodyBytes: body.length });
    }
    const down = await useEndedSite("x".repeat(megabytes * 1_048_576));
    for (const flag of ["--http1.1", "--http2"]) {
      expect((await down.curl("/", [flag])).stdout).toHaveLength(megabytes * 1_048_576);
    }
  });

  it("what a client says about who it is does not reach the device", async () => {
    const { curl } = await useEndedSite();
    for (const flag of ["--http1.1", "--http2"]) {
      const lies = ["X-Forwarded-For: 6.6.6.6", "X_Forwarded_For: 6.6.6.6", "X-Real-IP: 6.6.6.6"];
      const more = ["Forwarded: for=6.6.6.6", "X-Forwarded-Proto: http", "X-Forwarded-Port: 1"];
      const got = await curl("/", [flag, ...[...lies, ...more].flatMap((lie) => ["-H", lie])]);
      expect(got.stdout).not.toContain("6.6.6.6");
      const told = JSON.parse(got.stdout) as Told;
      expect(told.headers).toMatchObject({ "x-forwarded-proto": "https" });
      expect(told.headers).not.toHaveProperty("x-forwarded-port");
    }
  });

  it("requests of one connection share streams to the device, and every one is told whose it is", async () => {
    const { https, device, certFile } = await useEndedSite();
    const urls = ["/1", "/2", "/3"].map((path) => `https://app.example.com:${https}${path}`);
    const got = await run("curl", [
      ...["-sS", "--http1.1", "--cacert", certFile],
      ...["--resolve", `app.example.com:${https}:127.0.0.1`, ...urls],
    ]);
    expect(got.stdout.match(/"url":"\/\d"/g)).toHaveLength(3);
    expect(device.opened).toEqual([
      {
        service: "http",
        name: "app.example.com",
        servicePort: https,
        tls: "ended",
        remote: { family: "IPv4", address: "127.0.0.1", port: expect.any(Number) as number },
        local: { family: "IPv4", address: "127.0.0.1", port: https },
      },
    ]);
  });

  it("a WebSocket is carried, over TLS and in clear", async () => {
    const { server, port } = await useSite();
    const sockets = new WebSocketServer({ server });
    sockets.on("connection", (socket) => socket.on("message", (data) => socket.send(data)));
    const certificate = await makeCertificate(["app.example.com"]);
    const { https, http, add, metric } = await useEntrance({ certificates: [certificate] });
    add("app.example.com", new LocalDevice("lan-box", port));
    for (const url of [`wss://127.0.0.1:${https}/live`, `ws://127.0.0.1:${http}/live`]) {
      // Passed on to node:tls, of which the types do not know.
      const options = {
        servername: "app.example.com",
        headers: { host: "app.example.com" },
        ca: certificate.pem.certificatePem,
      };
      const socket = new WebSocket(url, options);
      const messages: string[] = [];
      socket.on("message", (data: Buffer) => messages.push(data.toString()));
      socket.on("open", () => socket.send("ping"));
      await waitUntil("the echo", () => messages.includes("ping"));
      socket.close();
      await waitUntil("the close", () => socket.readyState === WebSocket.CLOSED);
    }
    expect(await metric("culvert_relay_public_requests_total", { status: "1xx" })).toBe(2);
  });

  it("TLS is passed to the device unread: its certificate, its HTTP/2, TLS 1.2 and 1.3", async () => {
    const { certFile, pem } = await makeCertificate(["app.example.com"]);
    const server = createSecureServer({
      allowHTTP1: true,
      cert: pem.certificatePem,
      key: pem.privateKeyPem,
    });
    server.on("request", (request, response) => response.end(`the device: ${request.url}`));
    const device = new LocalDevice("lan-box", await listenForTest(server));
    const { https, add } = await useEntrance();
    add("*.example.com", device, { tls: "pass" });
    for (const flags of [["--http2"], ["--http1.1", "--tls-max", "1.2"]]) {
      const got = await curlTo(https, "app.example.com", certFile, "/x", flags);
      expect(got.stdout).toBe("the device: /x");
    }
    expect(device.opened[0]).toMatchObject({
      service: "https",
      name: "app.example.com",
      tls: "passed",
    });
  });

  it("openssl s_client talks through a name that is passed, and half-close is kept", async () => {
    const { certFile, pem } = await makeCertificate(["box.example.com"]);
    const server = createTlsServer({
      cert: pem.certificatePem,
      key: pem.privateKeyPem,
      allowHalfOpen: true,
    });
    server.on("secureConnection", (socket) => {
      socket.on("error", () => undefined);
      let received = "";
      socket.on("data", (chunk: Buffer) => {
        received += chunk.toString();
        if (received.endsWith("bye\n")) socket.end(`heard ${received}`);
      });
      socket.on("end", () => socket.end(`heard ${received}, and the end`));
    });
    const { https, add } = await useEntrance();
    add("box.example.com", new LocalDevice("lan-box", await listenForTest(server)), {
      tls: "pass",
    });
    const talk = await run(
      "openssl",
      [
        ...["s_client", "-quiet", "-connect", `127.0.0.1:${https}`, "-verify_return_error"],
        ...["-servername", "box.example.com", "-CAfile", certFile],
      ],
      { input: "hello and bye\n" },
    );
    expect(talk.stdout, talk.stderr).toBe("heard hello and bye\n");
    expect(talk.code).toBe(0);

    const socket = connectTls({
      ...{ host: "127.0.0.1", port: https, servername: "box.example.com" },
      ...{ ca: pem.certificatePem, allowHalfOpen: true },
    });
    onTestFinished(() => void socket.destroy());
    let heard = "";
    socket.on("data", (chunk: Buffer) => (heard += chunk.toString()));
    socket.end("hello");
    await within(5_000, "the answer to an end", once(socket, "end"));
    expect(heard).toBe("heard hello, and the end");
  });

  it("a port leads to its device alone, who may speak first", async () => {
    const server = createTcpServer((socket) => {
      socket.on("error", () => undefined);
      socket.write("220 hello\r\n");
      socket.on("data", (chunk: Buffer) => socket.end(`heard ${chunk.toString()}`));
    });
    const device = new LocalDevice("lan-box", await listenForTest(server));
    const { entrance } = await useEntrance();
    const open = await entrance.ports.open({ host: "127.0.0.1", port: 0 }, device);
    const address = { host: "127.0.0.1", port: open.port };
    await expect(entrance.ports.open(address, new LocalDevice("attic", 1))).rejects.toMatchObject({
      code: "address_in_use",
    });
    const socket = connectTcp(open.port, "127.0.0.1");
    let received = "";
    socket.on("data", (chunk: Buffer) => (received += chunk.toString()));
    await waitUntil("the banner", () => received === "220 hello\r\n");
    socket.write("x");
    await waitUntil("the answer", () => received.endsWith("heard x"));
    expect(device.opened).toEqual([
      expect.objectContaining({ service: "tcp", name: "", servicePort: open.port, tls: "none" }),
    ]);
    await open.close();
    await waitUntil("the port to close", () => refuses(open.port));
  });

  it("several devices of a name take turns, and one that is away is left out", async () => {
    const certificate = await makeCertificate(["app.example.com"]);
    const { https, add } = await useEntrance({ certificates: [certificate] });
    const devices = await Promise.all(
      ["a", "b", "c"].map(async (name) => {
        const { port } = await useSite(() => name);
        return new LocalDevice(name, port);
      }),
    );
    for (const device of devices) add("app.example.com", device);
    const ask = async (): Promise<string> =>
      (await curlTo(https, "app.example.com", certificate.certFile)).stdout;
    const answers = [];
    for (let turn = 0; turn < 6; turn += 1) answers.push(await ask());
    expect(answers.join("")).toBe("abcabc");
    devices[1]!.connected = false;
    expect([await ask(), await ask(), await ask()].join("")).toBe("aca");
  });

  it("plain HTTP is forwarded or sent to https, as the name says", async () => {
    const { port } = await useSite();
    const { http, https, add } = await useEntrance();
    const device = new LocalDevice("lan-box", port);
    add("plain.example.com", device, { http: "forward" });
    add("safe.example.com", device, { http: "redirect" });
    add("passed.example.com", device, { http: "redirect", tls: "pass" });
    const ask = (name: string, path: string): Promise<RunResult> =>
      run("curl", ["-sS", "-i", "-H", `Host: ${name}`, `http://127.0.0.1:${http}${path}`]);
    expect((await ask("plain.example.com", "/x")).stdout).toContain('"x-forwarded-proto":"http"');
    expect((await ask("safe.example.com", "/x?y=1")).stdout).toMatch(
      new RegExp(
        `^HTTP/1.1 308 [^]*\\r\\nlocation: https://safe.example.com:${https}/x\\?y=1\\r\\n`,
      ),
    );
    expect((await ask("passed.example.com", "/")).stdout).toContain("308");
    const challenge = "/.well-known/acme-challenge/token";
    expect((await ask("passed.example.com", challenge)).stdout).toContain(`"url":"${challenge}"`);
  });
});

describe.skipIf(missing("curl", "openssl"))("what a client is told", () => {
  it("404 for a name nobody serves, where a certificate of ours covers it, else a TLS alert", async () => {
    const certificate = await makeCertificate(["*.example.com"]);
    const { http, https } = await useEntrance({ certificates: [certificate] });
    const page = await curlTo(https, "no.example.com", certificate.certFile, "/", ["-i"]);
    expect(page.stdout).toMatch(/^HTTP\/2 404 [^]*Unknown name/);
    const alert = await curlTo(https, "no.example.org", certificate.certFile);
    expect(alert.stderr).toMatch(/unrecognized name/);
    const plain = await run("curl", ["-sS", "-i", "-H", "Host: x.y", `http://127.0.0.1:${http}/`]);
    expect(plain.stdout).toMatch(/^HTTP\/1.1 404 /);
  });

  it("502 where the device is away or refuses, 503 without room, 504 where it is too slow", async () => {
    const certificate = await makeCertificate(["app.example.com"]);
    const { http, https, add } = await useEntrance({
      certificates: [certificate],
      limits: { openTimeout: 300 as never },
    });
    const away = new LocalDevice("lan-box", 1);
    away.connected = false;
    add("app.example.com", away);
    const told = await curlTo(https, "app.example.com", certificate.certFile, "/", ["-i"]);
    expect(told.stdout).toMatch(/^HTTP\/2 502 [^]*not connected right now/);
    add("refuses.example.com", new LocalDevice("lan-box", 1));
    add("slow.example.com", {
      name: "slow",
      connected: true,
      open: () => new Promise(() => undefined),
    });
    for (const [name, status] of [
      ["refuses.example.com", 502],
      ["slow.example.com", 504],
    ] as const) {
      const page = await run("curl", [
        ...["-sS", "-o", "/dev/null", "-w", "%{http_code}"],
        ...["-H", `Host: ${name}`, `http://127.0.0.1:${http}/`],
      ]);
      expect(page.stdout).toBe(String(status));
    }
  });

  it("421 where Host is another name than SNI, by HTTP/1.1 and HTTP/2, and on every request", async () => {
    const certificate = await makeCertificate(["app.example.com", "other.example.com"]);
    const { port } = await useSite();
    const { https, add } = await useEntrance({ certificates: [certificate] });
    const device = new LocalDevice("lan-box", port);
    add("app.example.com", device);
    add("other.example.com", device);
    for (const version of ["--http1.1", "--http2"]) {
      for (const host of ["other.example.com", "relay.example.com", "127.0.0.1"]) {
        const got = await curlTo(https, "app.example.com", certificate.certFile, "/", [
          ...[version, "-o", "/dev/null", "-w", "%{http_code}", "-H", `Host: ${host}`],
        ]);
        expect(got.stdout, `${version} ${host}`).toBe("421");
      }
    }
    expect(device.opened).toHaveLength(0);
  });

  it("its own page on its own name, without a name, and by address", async () => {
    const certificate = await makeCertificate(["relay.example.com"]);
    const { https, entrance } = await useEntrance({ certificates: [certificate] });
    entrance.addPages(({ url }) =>
      url === "/.well-known/x"
        ? { status: 200, contentType: "text/plain", body: "found" }
        : undefined,
    );
    const named = await curlTo(https, "relay.example.com", certificate.certFile, "/.well-known/x");
    expect(named.stdout).toBe("found");
    const byAddress = await run("curl", ["-sSk", `https://127.0.0.1:${https}/.well-known/x`]);
    expect(byAddress.stdout).toBe("found");
  });
});

it("a relay without names of its own takes what it must under any name that nobody serves, and has no page there", async () => {
  const { https, http, entrance, add, metric } = await useEntrance({ names: [] });
  const { port } = await useSite(() => "site");
  add("app.example.com", new LocalDevice("lan-box", port));
  entrance.addPages(({ url }) =>
    url === "/.well-known/x"
      ? { status: 200, contentType: "text/plain", body: "found" }
      : undefined,
  );
  const sockets = new WebSocketServer({ noServer: true });
  onTestFinished(() => sockets.close());
  entrance.addUpgrades(
    {
      accepts: ({ url }) => url === "/session",
      upgrade: (request, socket, head) => {
        sockets.handleUpgrade(request, socket, head, (accepted) => accepted.send("session"));
      },
    },
    "https",
  );
  const open = (servername: string, host: string): Promise<string> =>
    new Promise((resolve) => {
      const socket = new WebSocket(`wss://127.0.0.1:${https}/session`, {
        // ws hands it on to tls.connect, which its types do not say.
        ...{ servername },
        headers: { host },
        rejectUnauthorized: false,
      });
      socket.on("message", (data: Buffer) => {
        resolve(data.toString());
        socket.close();
      });
      socket.on("error", (error) => resolve(error.message));
    });
  expect(await open("any.example.com", "any.example.com")).toBe("session");
  expect(await open("any.example.com", "other.example.com")).toContain("421");
  expect(await open("app.example.com", "any.example.com")).toContain("421");
  const code = ["-o", "/dev/null", "-w", "%{http_code}"];
  const ask = async (name: string, path: string, ...more: string[]): Promise<string> => {
    const to = ["--connect-to", `${name}:${https}:127.0.0.1:${https}`];
    const url = `https://${name}:${https}${path}`;
    return (await run("curl", ["-sSk", ...to, ...more, url])).stdout;
  };
  for (const version of ["--http1.1", "--http2"]) {
    expect(await ask("any.example.com", "/.well-known/x", version)).toBe("found");
    expect(await ask("any.example.com", "/", version, ...code)).toBe("404");
    expect(await ask("any.example.com", "/x", version, ...code)).toBe("404");
    const other = ["-H", "Host: other.example.com"];
    expect(await ask("any.example.com", "/.well-known/x", version, ...other, ...code)).toBe("421");
    expect(await ask("app.example.com", "/", version)).toBe("site");
    expect(await ask("127.0.0.1", "/", version)).toContain("This is a Culvert relay");
  }
  expect(await metric("culvert_relay_public_refused_total", { reason: "unknown_name" })).toBe(4);
  const plain = ["-sS", ...code, "-H", "Host: any.example.com", `http://127.0.0.1:${http}/`];
  expect((await run("curl", plain)).stdout).toBe("404");
});

it("WebSockets of the relay's own names go to who accepts them, over TLS and at the plain listener alone", async () => {
  const { https, http, plain, entrance } = await useEntrance();
  const sockets = new WebSocketServer({ noServer: true });
  for (const where of ["https", "plain"] as const) {
    entrance.addUpgrades(
      {
        accepts: ({ url }) => url === "/session",
        upgrade: (request, socket, head) => {
          sockets.handleUpgrade(request, socket, head, (accepted) => accepted.send(where));
        },
      },
      where,
    );
  }
  const open = (url: string): Promise<string> =>
    new Promise((resolve) => {
      const socket = new WebSocket(url, { rejectUnauthorized: false });
      socket.on("message", (data: Buffer) => {
        resolve(data.toString());
        socket.close();
      });
      socket.on("error", (error) => resolve(error.message));
    });
  expect(await open(`wss://127.0.0.1:${https}/session`)).toBe("https");
  expect(await open(`ws://127.0.0.1:${plain}/session`)).toBe("plain");
  expect(await open(`wss://127.0.0.1:${https}/other`)).toContain("404");
  expect(await open(`ws://127.0.0.1:${http}/session`)).toMatch(/404|308/);
  onTestFinished(() => sockets.close());
});

async function useEndedSite(answer?: string) {
  const certificate = await makeCertificate(["app.example.com"]);
  const { port } = await useSite(answer === undefined ? undefined : () => answer);
  const world = await useEntrance({ certificates: [certificate] });
  const device = new LocalDevice("lan-box", port);
  world.add("app.example.com", device);
  const curl = (path: string, flags: readonly string[], input?: Buffer): Promise<RunResult> =>
    curlTo(world.https, "app.example.com", certificate.certFile, path, flags, input);
  return { ...world, ...certificate, device, curl };
}

function curlTo(
  port: number,
  name: string,
  caFile: string,
  path = "/",
  flags: readonly string[] = [],
  input?: Buffer,
): Promise<RunResult> {
  const args = ["-sS", "--cacert", caFile, "--resolve", `${name}:${port}:127.0.0.1`];
  const url = `https://${name}:${port}${path}`;
  return run("curl", [...args, ...flags, url], input === undefined ? {} : { input });
}

function refuses(port: number): Promise<boolean> {
  return within(
    2_000,
    "a verdict on the port",
    new Promise((resolve) => {
      const socket = connectTcp(port, "127.0.0.1");
      socket.once("connect", () => {
        socket.destroy();
        resolve(false);
      });
      socket.once("error", () => resolve(true));
    }),
  );
}
