import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { waitUntil } from "../../support/wait.ts";
import { packer, type PackerDevice } from "./packer-device.ts";
import { clientHello, collect, TelebitBench } from "./telebit-bench.ts";

/** A frame with a header as it stands, whatever it is. */
function frame(header: string, body: Uint8Array | string = ""): Buffer {
  const text = Buffer.from(header);
  return Buffer.concat([Buffer.from([254, text.length & 255]), text, Buffer.from(body)]);
}

/** Fails unless the relay still serves this device and takes new ones. */
async function stillServes(bench: TelebitBench, device: PackerDevice, port: number): Promise<void> {
  const visitor = await bench.client(port);
  visitor.write("alive?");
  const open = await waitUntil("a connection", () =>
    device.of("connection").find((each) => each.port === String(visitor.localPort)),
  );
  expect(open.data?.toString()).toBe("alive?");
  const got = collect(visitor);
  device.send(open, Buffer.from("yes"), "tcp");
  await waitUntil("an answer", () => got.text === "yes");
  await bench.connect().greet();
}

describe("what a device may send without harm to others", () => {
  const outsiders: [string, Buffer][] = [
    ["a body of 4 GiB", frame("IPv4,1.2.3.4,5,4294967296,https,443,a.b")],
    ["a body of 8 GiB in a control frame", frame(",,,8589934592,control")],
    ["a length that is no number", frame("IPv4,1.2.3.4,5,NaN,https,443,a.b")],
    ["a negative length", frame("IPv4,1.2.3.4,5,-1,https,443,a.b")],
    ["a length in hexadecimal", frame(",,,0x10,control")],
    ["no length", frame("IPv4,1.2.3.4,5,,https,443,a.b")],
    ["an empty header", Buffer.from([254, 0, 254])],
    ["version 2", Buffer.from([253, 5, 44, 44, 44, 48, 44])],
    ["HTTP", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
    ["control that is no JSON", frame(",,,3,control", "{]x")],
    ["control that is no array", frame(",,,2,control", "{}")],
    ["control without a number", frame(",,,9,control", '["hello"]')],
    [
      "control nested a thousand deep",
      frame(",,,2000,control", "[".repeat(1000) + "]".repeat(1000)),
    ],
    ...["null", "5", '"x"', "true", "[]"].map((body): [string, Buffer] => [
      `an error of ${body}`,
      frame(`IPv4,1.2.3.4,5,${body.length},error,443,a.b`, body),
    ]),
  ];

  it("whether it has shown a token or not", async () => {
    const bench = await TelebitBench.start();
    const port = bench.firstPort;
    const good = await bench.device([], [port]);
    for (const [what, bytes] of outsiders) {
      for (const device of [await bench.connect().greet(), await bench.device(["x.example.com"])]) {
        device.raw(bytes);
        const { code } = await device.isClosed().catch(() => {
          throw new Error(`still open after ${what}`);
        });
        expect(`${what}: ${code}`).toBe(`${what}: 1002`);
      }
    }
    await stillServes(bench, good, port);
  }, 60_000);

  it("takes no memory for a body that is only announced", async () => {
    const bench = await TelebitBench.start();
    const devices = await Promise.all(
      Array.from({ length: 20 }, () => bench.device(["x.example.com"])),
    );
    const before = process.memoryUsage();
    for (const device of devices) {
      device.raw(frame("IPv4,1.2.3.4,5,16777216,https,443,a.b"));
      // Behind it in the same stream: once it is answered, the relay has read what stood before.
      const ponged = new Promise((resolve) => device.webSocket.once("pong", resolve));
      device.webSocket.ping();
      await ponged;
    }
    const after = process.memoryUsage();
    expect(after.rss + after.external - before.rss - before.external).toBeLessThan(
      64 * 1024 * 1024,
    );
  });

  it("nothing but control before its token, no text, and no connections of its own", async () => {
    const bench = await TelebitBench.start();
    const port = bench.firstPort;
    const good = await bench.device([], [port]);
    const early = await bench.connect().greet();
    early.send(
      { family: "IPv4", address: "1.2.3.4", port: "5", service: "https" },
      Buffer.from("x"),
    );
    expect(await early.isClosed()).toMatchObject({ code: 1002 });
    const texting = await bench.connect().greet();
    texting.webSocket.send('{"hello":1}');
    expect(await texting.isClosed()).toMatchObject({ code: 1003 });
    const reversed = await bench.device(["x.example.com"]);
    reversed.raw(frame("IPv4,1.2.3.4,5,0,connection,443,a.b,https"));
    expect(await reversed.isClosed()).toMatchObject({ code: 1002 });
    const endless = await bench.connect().greet();
    endless.raw(Buffer.alloc(2 * 1024 * 1024));
    expect((await endless.isClosed()).code).not.toBe(1000);
    await stillServes(bench, good, port);
  });

  it("no bytes for another device's visitor", async () => {
    const bench = await TelebitBench.start();
    const port = bench.firstPort;
    const good = await bench.device([], [port]);
    const thief = await bench.device([], [port + 1]);
    const visitor = await bench.client(port);
    const got = collect(visitor);
    visitor.write("x");
    const open = await good.first("connection");
    thief.send(open, Buffer.from("forged"), "tcp");
    thief.send(open, null, "end");
    expect((await thief.first("error")).code).toBe("E_NO_CONN");
    good.send(open, Buffer.from("true"), "tcp");
    await waitUntil("the device's bytes", () => got.text === "true");
    expect(got.closed).toBe(false);
  });

  it("no flood that makes the relay answer without end", async () => {
    const bench = await TelebitBench.start();
    const port = bench.firstPort;
    const good = await bench.device([], [port]);
    const flooder = await bench.device(["x.example.com"]);
    // It asks and does not read.
    flooder.webSocket.pause();
    const one = frame("IPv4,192.0.2.1,1,1,https,443,a.b", "x");
    const many = Buffer.concat(Array.from({ length: 10_000 }, () => one));
    await waitUntil(
      "the flooder's end",
      () => {
        if (bench.entrance.names.size === 0) return true;
        if (flooder.webSocket.bufferedAmount < 4 * 1024 * 1024) flooder.raw(many);
        return false;
      },
      { withinMs: 30_000, everyMs: 5 },
    );
    await stillServes(bench, good, port);
  }, 60_000);

  it("no commands without end", async () => {
    const bench = await TelebitBench.start();
    const device = await bench.connect().greet();
    for (let id = 1; id <= 40; id += 1) device.send(null, [id, "frobnicate"], "control");
    expect(await device.isClosed()).toMatchObject({ code: 1000 });
    const guessing = await bench.connect().greet();
    for (let id = 1; id <= 40; id += 1) {
      device.webSocket.terminate();
      guessing.send(null, [id, "add_token", `guess ${id}`], "control");
    }
    await guessing.isClosed();
  });

  it("no names without end", async () => {
    const bench = await TelebitBench.start();
    const device = await bench.connect().greet();
    const names = (from: number, count: number): string[] =>
      Array.from({ length: count }, (_, i) => `n${from + i}.example.com`);
    const greedy = await bench.connect().greet();
    greedy.send(null, [7, "add_token", await bench.token(names(0, 10_000))], "control");
    expect(await greedy.isClosed()).toMatchObject({ code: 1002 });
    expect(await device.command("add_token", await bench.token(names(0, 101)))).toMatchObject({
      code: "E_INVALID_NAME",
    });
    let granted = 0;
    let error: unknown;
    for (let from = 0; from < 1_600 && error === undefined; from += 100) {
      error = (await device.command("add_token", await bench.token(names(from, 100)))) ?? undefined;
      if (error === undefined) granted += 100;
    }
    expect(error).toMatchObject({ code: "E_LIMIT" });
    expect(granted).toBe(500);
    // Each name and all below it, and nothing of the token that did not fit.
    expect(bench.entrance.names.size).toBe(1_000);
  });

  it("nor any bytes at all", async () => {
    const bench = await TelebitBench.start();
    const port = bench.firstPort;
    const good = await bench.device([], [port]);
    for (let round = 0; round < 30; round += 1) {
      const device = await bench.connect().greet();
      const bytes = randomBytes(200);
      if (round % 2 === 0) bytes[0] = 254;
      device.raw(bytes);
      await device.close();
    }
    await stillServes(bench, good, port);
  });
});

describe("what a visitor may send without harm to the device", () => {
  /** A device under whose name and all below it anything may be asked for, and a port to see that its tunnel is whole. */
  async function victim(): Promise<{ bench: TelebitBench; device: PackerDevice; port: number }> {
    const bench = await TelebitBench.start();
    const port = bench.firstPort;
    return { bench, device: await bench.device(["a.example.com"], [port]), port };
  }

  it("names longer than a header has room for", async () => {
    const { bench, device, port } = await victim();
    const label = "l".repeat(60);
    for (const length of [150, 204, 227, 240, 253]) {
      const name = `${[label, label, label, label]
        .join(".")
        .slice(0, length - 14)
        .replace(/\.$/, "x")}.a.example.com`;
      expect(name.length).toBe(length);
      const visitor = await bench.client(bench.port("https"));
      const got = collect(visitor);
      visitor.write(clientHello(name));
      if (length === 150) {
        await waitUntil("a connection", () =>
          device.of("connection").some((each) => each.name === name),
        );
        continue;
      }
      await waitUntil("a refusal", () => got.closed || got.ended);
      const web = await bench.client(bench.port("http"));
      const answer = collect(web);
      web.write(
        `GET /.well-known/acme-challenge/x HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`,
      );
      await waitUntil("a refusal", () => answer.ended || answer.closed);
      expect(answer.text).toMatch(/^HTTP\/1\.1 502 /);
    }
    expect(device.of("connection")).toHaveLength(1);
    await stillServes(bench, device, port);
  }, 30_000);

  it("commas, control bytes and whole frames in Host and in SNI", async () => {
    const { bench, device, port } = await victim();
    const smuggled = packer.pack(null, [0, "smg"], "control").toString("latin1");
    const hosts = [
      "evil,tcp,.a.example.com",
      `x${"y".repeat(190)}${smuggled}.a.example.com`,
      "a.example.com\u0000",
      "a b.a.example.com",
      "a.example.com, b.example.com",
      "\u00fe.a.example.com",
      "-.a.example.com",
      "a..a.example.com",
    ];
    for (const host of hosts) {
      const web = await bench.client(bench.port("http"));
      const answer = collect(web);
      web.write(
        Buffer.from(
          `GET /.well-known/acme-challenge/x HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
          "latin1",
        ),
      );
      await waitUntil("a refusal", () => answer.ended || answer.closed);
      expect(answer.text).toMatch(/^HTTP\/1\.1 400 /);
      const visitor = await bench.client(bench.port("https"));
      const got = collect(visitor);
      visitor.write(clientHello(host));
      await waitUntil("a refusal", () => got.ended || got.closed);
    }
    expect(device.frames).toEqual([]);
    expect(device.control.some(([number]) => number === 0)).toBe(false);
    await stillServes(bench, device, port);
  });

  it("a ClientHello in single bytes: it is routed all the same", async () => {
    const { bench, device } = await victim();
    const visitor = await bench.client(bench.port("https"));
    const hello = clientHello("A.Example.COM");
    for (const byte of hello) {
      visitor.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const open = await device.first("connection");
    expect(open.name).toBe("a.example.com");
    await waitUntil("all of it", () => {
      const bytes = [...device.of("connection"), ...device.of("message")].map(
        ({ data }) => data ?? Buffer.alloc(0),
      );
      return Buffer.concat(bytes).equals(hello);
    });
  });

  it("a thousand connections that leave at once", async () => {
    const { bench, device, port } = await victim();
    device.onFrame = (kind, frame) => {
      if (kind === "end") device.send(frame, null, "end");
    };
    for (let round = 0; round < 20; round += 1) {
      const visitors = await Promise.all(Array.from({ length: 50 }, () => bench.client(port)));
      for (const [index, visitor] of visitors.entries()) {
        if (index % 2 === 0) visitor.write("x");
        if (index % 3 === 0) visitor.resetAndDestroy();
        else visitor.destroy();
      }
    }
    await waitUntil("the end of all", async () =>
      /culvert_relay_telebit_connections 0/.test(await bench.registry.metrics()),
    );
    await stillServes(bench, device, port);
  }, 30_000);
});

describe("metrics", () => {
  it("of Telebit devices all move", async () => {
    const bench = await TelebitBench.start({
      limits: { strangersPerAddress: 1, authDeadline: 60_000 as never },
    });
    const device = await bench.device([], [bench.firstPort]);
    await device.command("add_token", "bad");
    (await bench.client(bench.firstPort)).write("x");
    const open = await device.first("connection");
    device.send({ ...open, port: "1", service: "tcp" }, Buffer.from("x"));
    await device.first("error");
    await bench.connect().greet();
    const refused = bench.connect();
    await waitUntil("a refusal", () => refused.refused !== undefined);
    const lines = (await bench.registry.metrics()).split("\n");
    const value = (name: string): string | undefined =>
      lines
        .find((line) => line.startsWith(`culvert_relay_telebit_${name} `))
        ?.split(" ")
        .at(-1);
    expect({
      authorised: value('devices{state="authorised"}'),
      waiting: value('devices{state="waiting"}'),
      refused: value('devices_refused_total{reason="strangersPerAddress"}'),
      accepted: value('tokens_total{result="accepted"}'),
      bad: value('tokens_total{result="E_INVALID_TOKEN"}'),
      opened: value('connections_opened_total{service="tcp"}'),
      connections: value("connections"),
      drops: value('drops_total{reason="unknown_connection"}'),
    }).toEqual({
      authorised: "1",
      waiting: "1",
      refused: "1",
      accepted: "1",
      bad: "1",
      opened: "1",
      connections: "1",
      drops: "1",
    });
    await device.close();
    await waitUntil("a device less", async () =>
      /telebit_devices_closed_total\{by="network"\} 1/.test(await bench.registry.metrics()),
    );
  });
});
