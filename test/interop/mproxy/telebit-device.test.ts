import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { createCertificate, generateIdentity } from "@culvert/identity";
import { systemClock } from "@culvert/runtime";
import { connect as connectTcp, type Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { ending } from "../../support/tcp.ts";
import { waitUntil } from "../../support/wait.ts";
import type { PackerDevice, PackerFrame } from "./packer-device.ts";
import { collect, TelebitBench } from "./telebit-bench.ts";

const fault = (code: string): unknown =>
  expect.objectContaining({ code, message: expect.any(String) as unknown }) as unknown;

describe("the control channel, with the real packer at the other end", () => {
  it("greets, judges a token, grants and answers in the order of the real relay", async () => {
    const bench = await TelebitBench.start();
    const device = await bench.connect().greet();
    const port = bench.firstPort;
    const error = await device.command("add_token", await bench.token(["a.example.com"], [port]));
    expect(error).toBeNull();
    expect(device.control).toEqual([
      [1, "hello", [1], ["add_token", "delete_token", "auth", "authn", "authz"]],
      [
        2,
        "grant",
        [
          ["ssh+https", "a.example.com", 443],
          ["ssh", "localhost", [port]],
          ["tcp", "localhost", [port]],
          ["https", "a.example.com"],
        ],
      ],
      [-1_000, null],
    ]);
  });

  it.each<[string, (token: string) => [string, Record<string, string>]]>([
    ["its address", (token) => [`/?access_token=${token}`, {}]],
    ["Basic", (token) => ["/", { authorization: `Basic ${btoa(`x:${token}`)}` }]],
    ["Bearer", (token) => ["/?versions=v1", { authorization: `Bearer ${token}` }]],
  ])("takes a token by %s, and grants before hello", async (_way, request) => {
    const bench = await TelebitBench.start();
    const token = await bench.token(["a.example.com"]);
    const [path, headers] = request(token);
    const device = await bench.connect(path, { headers }).greet();
    expect(device.control.map(([, command]) => command)).toEqual(["grant", "hello"]);
    expect(bench.entrance.names.next("a.example.com")?.device.connected).toBe(true);
    expect(bench.log()).not.toContain(token.slice(0, 20));
    expect(bench.log()).not.toContain(token.slice(-20));
  });

  it("tells a device with a bad token in its address why, and closes it", async () => {
    const bench = await TelebitBench.start();
    const device = bench.connect("/?access_token=eyJhbGciOiJub25lIn0.e30.");
    expect(await device.isClosed()).toMatchObject({ code: 1000 });
    expect(device.control).toEqual([[0, fault("E_INVALID_TOKEN")]]);
  });

  it("answers every refusal with an object, and none of it shows the token", async () => {
    const bench = await TelebitBench.start();
    const device = await bench.connect().greet();
    const foreign = await bench.token(["evil.example.org"]);
    expect(await device.command("add_token", foreign)).toEqual(fault("E_INVALID_NAME"));
    expect(await device.command("add_token", await bench.token([], [22]))).toEqual(
      fault("E_INVALID_PORT"),
    );
    expect(await device.command("add_token", await bench.token(["localhost"]))).toEqual(
      fault("E_INVALID_NAME"),
    );
    expect(await device.command("add_token", "nonsense")).toEqual(fault("E_INVALID_TOKEN"));
    expect(await device.command("auth", { subject: "me@example.com" })).toEqual(
      fault("E_INVALID_TOKEN"),
    );
    expect(await device.command("frobnicate")).toEqual(fault("E_UNKNOWN_COMMAND"));
    expect(JSON.stringify(device.control)).not.toContain(foreign.slice(0, 20));
    expect(bench.log()).not.toContain(foreign.slice(0, 20));
    expect(bench.entrance.names.size).toBe(0);
  });

  it("deletes a token in truth: the name is nobody's, the port closed, its connections cut", async () => {
    const bench = await TelebitBench.start();
    const port = bench.firstPort;
    const token = await bench.token(["a.example.com"], [port]);
    const device = await bench.device(["b.example.com"]);
    expect(await device.command("add_token", token)).toBeNull();
    const client = await bench.client(port);
    client.write("x");
    await device.first("connection");
    expect(await device.command("delete_token", token)).toBeNull();
    expect(await ending(client, 5_000)).toBe("reset");
    await waitUntil(
      "the end of the grant",
      () => bench.entrance.names.next("a.example.com") === undefined,
    );
    await expect(bench.client(port)).rejects.toThrow("ECONNREFUSED");
    expect(bench.entrance.names.next("b.example.com")).toBeDefined();
    expect(await device.command("delete_token", token)).toEqual(fault("E_INVALID_TOKEN"));
    expect(await device.command("delete_token", "*")).toBeNull();
    await waitUntil("the end of all grants", () => bench.entrance.names.size === 0);
  });

  it("closes who brings no token in time, and keeps others out while too many wait", async () => {
    const bench = await TelebitBench.start({
      limits: { authDeadline: 2_000 as never, strangersPerAddress: 3 },
    });
    const waiting = await Promise.all([1, 2, 3].map(() => bench.connect().greet()));
    const fourth = bench.connect();
    await waitUntil("a refusal", () => fourth.refused === 503);
    // And holds no connection open either, though it does not hang up itself.
    const stubborn = await bench.tlsClient("localhost");
    const heard = collect(stubborn);
    stubborn.write(
      "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    await waitUntil("the relay's end", () => heard.closed);
    expect(heard.text).toMatch(/^HTTP\/1\.1 503 /);
    for (const device of waiting) {
      await device.isClosed();
      expect(device.control.at(-1)).toEqual([0, fault("E_TIMEOUT")]);
    }
    await bench.connect().greet();
  });
});

describe("names", () => {
  it("lead to the device that has them and to all below them, TLS untouched", async () => {
    const bench = await TelebitBench.start();
    const device = await bench.device(["a.example.com"]);
    const local = await localTls((socket) => {
      socket.end(`for ${serverNameOf(socket)} ${socket.getProtocol() ?? ""}`);
    });
    serve(device, () => connectTcp(local.port, "127.0.0.1"));
    for (const name of ["a.example.com", "deep.below.a.example.com"]) {
      const client = await bench.tlsClient(name.toUpperCase(), { servername: name });
      // The device's own certificate: the relay has never seen the bytes.
      expect(client.getPeerCertificate().fingerprint256).toBe(local.fingerprint);
      const got = collect(client);
      await waitUntil("the answer", () => got.ended);
      expect(got.text).toBe(`for ${name} TLSv1.3`);
    }
    const [open] = device.of("connection");
    expect(open).toMatchObject({
      service: "https",
      family: "IPv4",
      address: "127.0.0.1",
      serviceport: String(bench.port("https")),
      name: "a.example.com",
    });
  });

  it("of several devices are served in turn, and only by those still there", async () => {
    const bench = await TelebitBench.start();
    const devices = [
      await bench.device(["a.example.com"]),
      await bench.device(["a.example.com"]),
      await bench.device(["a.example.com"]),
    ];
    const local = await localTls((socket) => socket.end("ok"));
    for (const device of devices) serve(device, () => connectTcp(local.port, "127.0.0.1"));
    const visit = async (): Promise<void> => {
      const got = collect(await bench.tlsClient("a.example.com"));
      await waitUntil("the answer", () => got.text === "ok");
    };
    for (let i = 0; i < 6; i += 1) await visit();
    expect(devices.map((device) => device.of("connection").length)).toEqual([2, 2, 2]);
    await devices[1]!.close();
    await waitUntil("two names less", () => bench.entrance.names.size === 4);
    for (let i = 0; i < 4; i += 1) await visit();
    expect(devices.map((device) => device.of("connection").length)).toEqual([4, 2, 4]);
  });

  it("get their ACME challenges by plain HTTP, and all else is sent to https", async () => {
    const bench = await TelebitBench.start();
    const device = await bench.device(["a.example.com"]);
    device.onFrame = (kind, frame) => {
      if (kind !== "connection" && kind !== "message") return;
      device.send(frame, Buffer.from("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes"), "http");
    };
    const path = "/.well-known/acme-challenge/abc";
    expect(await get(bench, "a.example.com", path)).toMatch(/^HTTP\/1\.1 200 [^]*yes$/);
    expect(device.of("connection")[0]).toMatchObject({ service: "http", name: "a.example.com" });
    const moved = await get(bench, "a.example.com", "/x?y");
    expect(moved).toMatch(/^HTTP\/1\.1 308 /);
    expect(moved).toContain(`location: https://a.example.com:${bench.port("https")}/x?y`);
    expect(device.of("connection")).toHaveLength(1);
  });

  it("of a device that left are nobody's", async () => {
    const bench = await TelebitBench.start();
    const device = await bench.device(["a.example.com"], [bench.firstPort]);
    await device.close();
    await waitUntil("the end of the grants", () => bench.entrance.names.size === 0);
    await expect(bench.tlsClient("a.example.com")).rejects.toThrow(/alert|unrecognized/i);
    await expect(bench.client(bench.firstPort)).rejects.toThrow("ECONNREFUSED");
  });
});

describe("TCP ports", () => {
  it("carry both ways, the first bytes in the frame that opens the connection", async () => {
    const bench = await TelebitBench.start();
    const device = await bench.device([], [bench.firstPort]);
    const client = await bench.client(bench.firstPort);
    const got = collect(client);
    client.write("SSH-2.0-client\r\n");
    const open = await device.first("connection");
    expect(open).toMatchObject({
      service: "tcp",
      serviceport: String(bench.firstPort),
      name: "",
      port: String(client.localPort),
    });
    expect(open.data?.toString()).toBe("SSH-2.0-client\r\n");
    device.send(open, Buffer.from("SSH-2.0-server\r\n"), "tcp");
    await waitUntil("the banner", () => got.text === "SSH-2.0-server\r\n");
    client.write("more");
    await waitUntil("what follows", () => device.received().endsWith("more"));
    expect(device.of("connection")).toHaveLength(1);
  });

  it("let the server speak first, after a moment", async () => {
    const bench = await TelebitBench.start();
    const device = await bench.device([], [bench.firstPort]);
    const got = collect(await bench.client(bench.firstPort));
    const open = await device.first("connection");
    expect(open.data).toBeUndefined();
    device.send(open, Buffer.from("220 ready"), "tcp");
    await waitUntil("the greeting", () => got.text === "220 ready");
  });

  it("belong to one device: the second is told, and each byte goes to one", async () => {
    const bench = await TelebitBench.start();
    const port = bench.firstPort;
    const first = await bench.device([], [port]);
    const second = await bench.connect().greet();
    const token = await bench.token(["a.example.com"], [port]);
    expect(await second.command("add_token", token)).toEqual(fault("E_PORT_TAKEN"));
    // All or nothing: the name is not granted either.
    expect(bench.entrance.names.size).toBe(0);
    (await bench.client(port)).write("x");
    await first.first("connection");
    expect(second.frames).toEqual([]);
    await first.close();
    await waitUntil("the port to be free", async () => {
      return (await second.command("add_token", token)) === null;
    });
    (await bench.client(port)).write("y");
    expect((await second.first("connection")).data?.toString()).toBe("y");
  });

  it("of a device that hangs go to the one that asks", async () => {
    const bench = await TelebitBench.start({ limits: { probeTimeout: 300 as never } });
    const port = bench.firstPort;
    const first = await bench.device([], [port]);
    const second = await bench.connect().greet();
    // As after a change of networks: the old connection stands, and nobody is at its end.
    const { webSocket } = first;
    webSocket.pause();
    const token = await bench.token([], [port]);
    expect(await second.command("add_token", token)).toBeNull();
    (await bench.client(port)).write("x");
    await second.first("connection");
  });

  it("end as either side ends, and an end said twice means once", async () => {
    const bench = await TelebitBench.start();
    const device = await bench.device([], [bench.firstPort]);
    const client = await bench.client(bench.firstPort);
    const got = collect(client);
    client.write("x");
    const open = await device.first("connection");
    device.send(open, Buffer.from("bye"), "tcp");
    device.send(open, null, "end");
    device.send(open, null, "end");
    device.send(open, { message: "late", code: "E_LATE" }, "error");
    await waitUntil("the end", () => got.ended);
    expect(got.text).toBe("bye");
    await device.first("end");
    client.end();
    await waitUntil("the close", () => got.closed);
    // The other way: the client ends, the device hears of it, once.
    const other = await bench.client(bench.firstPort);
    other.end("y");
    await waitUntil("a second end", () => device.of("end").length === 2);
    expect(device.of("error")).toEqual([]);
    expect(device.closed).toBeUndefined();
  });

  it("turn a device's error into a reset, whatever its body", async () => {
    const bench = await TelebitBench.start();
    const device = await bench.device([], [bench.firstPort]);
    for (const body of [null, { message: "refused", code: "ECONNREFUSED" }, Buffer.from("text")]) {
      const client = await bench.client(bench.firstPort);
      client.write("x");
      const open = await waitUntil("a connection", () => connectionOf(device, client));
      device.send(open, body, "error");
      expect(await ending(client, 5_000)).toBe("reset");
    }
    expect(device.closed).toBeUndefined();
  });

  it("pause towards a reader that is slow, and for a device that asks", async () => {
    const bench = await TelebitBench.start();
    const device = await bench.device([], [bench.firstPort]);
    const client = await bench.client(bench.firstPort);
    client.pause();
    client.write("x");
    const open = await device.first("connection");
    let paused = false;
    device.onFrame = (kind) => {
      if (kind === "pause") paused = true;
      if (kind === "resume") paused = false;
    };
    // As the real client: it sends until it is told to pause, a little at a time.
    let sent = 0;
    const chunk = Buffer.alloc(64 * 1024, "z");
    await waitUntil(
      "pause",
      () => {
        if (paused) return true;
        device.send(open, chunk, "tcp");
        sent += chunk.length;
        return false;
      },
      { everyMs: 1, withinMs: 20_000 },
    );
    const [pause] = device.of("pause");
    expect(Number(pause?.data?.toString())).toBeGreaterThan(0);
    let read = 0;
    client.on("data", (bytes: Buffer) => (read += bytes.length));
    client.resume();
    await waitUntil("resume and all bytes", () => !paused && read === sent);
    expect(Number(device.of("resume")[0]?.data?.toString())).toBeGreaterThan(0);
    // And the device's own pause holds the client.
    device.send(open, 0, "pause");
    await device.command("frobnicate");
    const before = device.received().length;
    client.write("held");
    client.write("x".repeat(1024));
    await device.command("frobnicate");
    expect(device.received().length).toBe(before);
    device.send(open, 1, "resume");
    await waitUntil("what was held", () => device.received().length === before + 1028);
  });

  it("answer for what is not theirs as the real relay does", async () => {
    const bench = await TelebitBench.start();
    const device = await bench.device(["a.example.com"]);
    const id = { family: "IPv4", address: "192.0.2.1", port: "1", service: "https" };
    for (const [index, service] of ["https", "pause", "resume"].entries()) {
      device.send(id, service === "https" ? Buffer.from("data") : 1, service);
      await waitUntil("an error", () => device.of("error").length === index + 1);
    }
    expect(device.of("error")[0]).toMatchObject({ ...id, service: "error", code: "E_NO_CONN" });
    device.send(id, null, "end");
    device.send(id, null, "error");
    await device.command("frobnicate");
    expect(device.of("error")).toHaveLength(3);
    expect(device.of("end")).toEqual([]);
  });
});

/** The connection frame of a client's connection. */
function connectionOf(device: PackerDevice, client: Socket): PackerFrame | undefined {
  return device.of("connection").find(({ port }) => port === String(client.localPort));
}

/** Joins every connection of a device to what `dial` gives, as the real client joins it to a local service. */
function serve(device: PackerDevice, dial: () => Socket): void {
  const locals = new Map<string, Socket>();
  device.onFrame = (kind, frame) => {
    const key = `${frame.family},${frame.address},${frame.port}`;
    if (kind === "connection") {
      const local = dial();
      local.on("error", () => undefined);
      onTestFinished(() => void local.destroy());
      locals.set(key, local);
      local.on("data", (chunk) => device.send(frame, chunk));
      local.on("end", () => device.send(frame, null, "end"));
    }
    const local = locals.get(key);
    if ((kind === "connection" || kind === "message") && frame.data !== undefined) {
      local?.write(frame.data);
    }
    if (kind === "end" || kind === "error") local?.end();
  };
}

/** What Node's types leave out of a server's sockets. */
function serverNameOf(socket: TLSSocket): string {
  return String((socket as { readonly servername?: unknown }).servername);
}

async function localTls(
  serveSocket: (socket: TLSSocket) => void,
): Promise<{ readonly port: number; readonly fingerprint: string }> {
  const identity = generateIdentity();
  const { certificatePem, privateKeyPem } = await createCertificate(identity, {
    wallNowMs: systemClock.wallNowMs(),
  });
  const server = createTlsServer({ cert: certificatePem, key: privateKeyPem }, serveSocket);
  server.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      resolve();
    });
  });
  onTestFinished(() => void server.close());
  const { X509Certificate } = await import("node:crypto");
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("not bound");
  return { port: address.port, fingerprint: new X509Certificate(certificatePem).fingerprint256 };
}

async function get(bench: TelebitBench, host: string, path: string): Promise<string> {
  const client = await bench.client(bench.port("http"));
  const got = collect(client);
  client.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  await waitUntil("the answer's end", () => got.ended || got.closed);
  return got.text;
}
