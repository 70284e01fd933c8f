import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  streamOutcome,
  waitUntil,
  watchForCrashes,
  within,
  type CrashWatch,
} from "@culvert/testkit";
import {
  diallerId,
  publicId,
  publicMeta,
  tunnelAndPeer,
  type TunnelAndPeer,
} from "./raw-peer.test-data.ts";

let crashes: CrashWatch;
beforeEach(() => {
  crashes = watchForCrashes();
});
afterEach(async () => {
  await new Promise((resolve) => setImmediate(resolve));
  crashes.stop();
  expect(crashes.take()).toEqual([]);
});

/** The peer's fault ends the tunnel, and says so to the peer. */
async function expectProtocolError({ tunnel, peer }: TunnelAndPeer, text: RegExp): Promise<void> {
  const reason = await within(tunnel.closed, { what: "the end of the tunnel" });
  expect(reason).toMatchObject({ by: "us", code: "protocol_error" });
  expect(reason.text).toMatch(text);
  await waitUntil(() => peer.closed, { what: "the end of the carrier" });
  expect(tunnel.stats().openStreams).toBe(0);
}

describe("a hostile peer of a tunnel", () => {
  it("announces 4 GiB and sends nothing of it", async () => {
    const pair = tunnelAndPeer();
    const before = process.memoryUsage().arrayBuffers;
    pair.peer.sendHeader("culvert,d,1,4294967296,connection,,,tcp");
    await expectProtocolError(pair, /4294967296 bytes/);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024);
  });

  it.each(["null", "5", '"x"', "true", "[1]"])("resets with a body of %s", async (body) => {
    const pair = tunnelAndPeer();
    pair.peer.send("connection", diallerId(1), "hello");
    pair.peer.send("error", diallerId(1), body);
    await expectProtocolError(pair, /error body/);
  });

  it.each([
    ["another protocol", "GET / HTTP/1.1\r\n\r\n"],
    ["version 253", "\u00fd\u0010,,,0,control"],
    ["an empty header", "\u00fe\u0000"],
  ])("speaks %s", async (_, text) => {
    const pair = tunnelAndPeer();
    pair.peer.sendBytes(Buffer.from(text, "latin1"));
    await expectProtocolError(pair, /version byte|empty header/);
  });

  it.each([
    ["a negative length", "culvert,d,1,-5,tcp,,"],
    ["four fields", "culvert,d,1,5"],
    ["a control character", "culvert,d,1,0,tcp,,a\u0007"],
  ])("sends a header with %s", async (_, text) => {
    const pair = tunnelAndPeer();
    pair.peer.sendHeader(text);
    await expectProtocolError(pair, /header|length/);
  });

  it("sends anything but control before it is proved", async () => {
    for (const kind of ["connection", "data", "end", "error", "pause", "resume"] as const) {
      const pair = tunnelAndPeer({ unproved: true });
      pair.tunnel.control.on(() => undefined);
      pair.peer.control({ type: "command", id: 1, command: "hello", args: [] });
      pair.peer.send(kind, diallerId(1), kind === "resume" || kind === "pause" ? "1" : "");
      await expectProtocolError(pair, /before connections are allowed/);
    }
  });

  it.each([
    ["an id twice", [1, 1]],
    ["an id below the last", [5, 4]],
  ])("opens %s", async (_, numbers) => {
    const pair = tunnelAndPeer();
    for (const number of numbers) pair.peer.send("connection", diallerId(number));
    await expectProtocolError(pair, /not new/);
  });

  it.each([
    ["an id of ours", { family: "culvert", address: "l", port: "1" }],
    ["a public id", publicId(5)],
    ["a number with a sign", { family: "culvert", address: "d", port: "+1" }],
    ["number 0", { family: "culvert", address: "d", port: "0" }],
    ["an id that every object has", { family: "__proto__", address: "d", port: "1" }],
  ])("opens %s", async (_, id) => {
    const pair = tunnelAndPeer();
    pair.peer.send("connection", id);
    await expectProtocolError(pair, /id/);
  });

  it.each(["control", "end", "connection"])(
    "opens a connection with %s as its service",
    async (word) => {
      const pair = tunnelAndPeer();
      pair.peer.sendHeader(`culvert,d,1,0,connection,,,${word}`);
      await expectProtocolError(pair, /not the name of a service/);
      expect(pair.opened).toEqual([]);
    },
  );

  it("opens connections by data with ids that leave no room for an answer", async () => {
    const pair = tunnelAndPeer({ dialect: "telebit-device" });
    const address = "a".repeat(240);
    pair.peer.sendHeader(`IPv4,${address},1,1,x,,`);
    pair.peer.sendBytes(Buffer.from("!"));
    await expectProtocolError(pair, /at most 255/);
    const relay = tunnelAndPeer({ dialect: "telebit-relay" });
    relay.peer.sendHeader(`IPv4,${address},1,1,x,,`);
    await expectProtocolError(relay, /at most 255/);
  });

  it("gives a reason for a reset that is meant for a terminal", async () => {
    const { tunnel, peer, opened } = tunnelAndPeer();
    peer.send("connection", diallerId(1));
    const { stream } = await waitUntil(() => opened[0], { what: "a connection" });
    const outcome = streamOutcome(stream);
    const said = { message: "\u001b[2J" + "x".repeat(1_000), code: "\u001b[31m" };
    peer.send("error", diallerId(1), JSON.stringify(said));
    const { error } = await outcome;
    expect(error).toMatchObject({ data: { code: "E_UNKNOWN_ERR" } });
    // eslint-disable-next-line no-control-regex -- control characters are what must not pass
    expect(error?.message).not.toMatch(/[\x00-\x1f]/);
    expect(error?.message.length).toBeLessThan(300);
    tunnel.close({ by: "us", code: "done", text: "" });
  });

  it.each(["data", "end", "error", "pause", "resume"] as const)(
    "sends %s for a connection that never was",
    async (kind) => {
      const pair = tunnelAndPeer();
      pair.peer.send("connection", diallerId(1));
      pair.peer.send(kind, diallerId(2), kind === "pause" || kind === "resume" ? "1" : "");
      await expectProtocolError(pair, /never opened/);
    },
  );

  it("sends frames for a connection that is over: they are dropped and counted", async () => {
    const pair = tunnelAndPeer();
    const { tunnel, peer, opened } = pair;
    peer.send("connection", diallerId(1), "hello");
    await waitUntil(() => opened[0], { what: "a connection" });
    opened[0]!.stream.destroy();
    await peer.next("error");
    for (const kind of ["data", "end", "error"] as const) peer.send(kind, diallerId(1));
    peer.send("data", diallerId(1), "more");
    peer.send("pause", diallerId(1), "5");
    peer.send("connection", diallerId(2), "still here");
    await waitUntil(() => opened[1], { what: "a connection after that" });
    expect(tunnel.stats().drops.late_frame).toBe(5);
    tunnel.close({ by: "us", code: "done", text: "" });
  });

  it("says end again and again, which means no more than once", async () => {
    const { tunnel, peer, opened } = tunnelAndPeer();
    peer.send("connection", diallerId(1), "all");
    for (let turn = 0; turn < 5; turn += 1) peer.send("end", diallerId(1), turn % 2 ? " " : "");
    peer.send("data", diallerId(1), "after the end");
    const { stream } = await waitUntil(() => opened[0], { what: "a connection" });
    const outcome = streamOutcome(stream);
    let read = "";
    stream.on("data", (bytes: Buffer) => (read += bytes.toString()));
    stream.end();
    expect(await outcome).toMatchObject({ ended: true });
    expect(read).toBe("all");
    await waitUntil(() => tunnel.stats().drops.reader_gone === 1, { what: "a dropped frame" });
    tunnel.close({ by: "us", code: "done", text: "" });
  });

  it("ignores the window: that connection is reset and counted, the others go on", async () => {
    const { tunnel, peer, opened } = tunnelAndPeer({ settings: { windowBytes: 100_000 } });
    peer.send("connection", diallerId(1));
    peer.send("connection", diallerId(2), "a good one");
    const chunk = new Uint8Array(50_000);
    for (let turn = 0; turn < 40; turn += 1) peer.send("data", diallerId(1), chunk);
    const { body } = await peer.next("error");
    expect(JSON.parse(body.toString())).toMatchObject({ code: "E_RESET" });
    expect(tunnel.stats().drops.window_exceeded).toBe(1);
    expect(tunnel.stats().openStreams).toBe(1);
    expect(tunnel.stats().unreadBytes).toBeLessThan(100_000);
    opened[1]!.stream.end("answer");
    expect((await peer.next("data")).body.toString()).toBe("answer");
    tunnel.close({ by: "us", code: "done", text: "" });
  });

  it.each([
    ["more read than was sent", ["3"]],
    ["less read than before", ["2", "1"]],
    ["no number", [""]],
    ["nonsense", ["-1"]],
  ])("grants credit for %s", async (_, counts) => {
    const pair = tunnelAndPeer();
    pair.peer.send("connection", diallerId(1));
    await waitUntil(() => pair.opened[0], { what: "a connection" });
    pair.opened[0]!.stream.write("ab");
    await pair.peer.next("data");
    for (const count of counts) pair.peer.send("resume", diallerId(1), count);
    await expectProtocolError(pair, /bytes/);
  });

  it("asks and asks, and never reads the answers", async () => {
    const pair = tunnelAndPeer();
    pair.peer.carrier.pause();
    for (let id = 1; id <= 20_000; id += 1) {
      pair.peer.control({ type: "command", id, command: "ping", args: [] });
    }
    const reason = await within(pair.tunnel.closed, { what: "the end of the tunnel" });
    expect(reason).toMatchObject({ by: "us", code: "owed_limit" });
  });

  it("opens 10,000 connections where 100 are allowed", async () => {
    const { tunnel, peer, opened } = tunnelAndPeer({ settings: { maxStreams: 100 } });
    for (let number = 1; number <= 10_000; number += 1) {
      peer.send("connection", diallerId(number));
      // All at once would make us owe more than we let a peer make us owe.
      if (number % 1_000 === 0) await peer.next("error", number - 100);
    }
    expect(tunnel.stats()).toMatchObject({ openStreams: 100 });
    expect(tunnel.stats().drops.too_many_streams).toBe(9_900);
    for (const { stream } of opened) stream.destroy();
    expect(tunnel.stats().openStreams).toBe(0);
    tunnel.close({ by: "us", code: "done", text: "" });
  });

  it("sends many small frames that nobody reads: no more is taken from the carrier", async () => {
    const limit = 1024 * 1024;
    const { tunnel, peer, opened } = tunnelAndPeer({ settings: { maxUnreadBytesOverAll: limit } });
    for (let number = 1; number <= 10; number += 1) {
      peer.send("connection", diallerId(number));
      for (let turn = 0; turn < 100; turn += 1) {
        peer.send("data", diallerId(number), new Uint8Array(10_000));
      }
    }
    await waitUntil(() => tunnel.stats().unreadBytes > limit, { what: "a full tunnel" });
    expect(tunnel.stats().unreadBytes).toBeLessThan(2 * limit);
    let read = 0;
    for (let index = 0; index < 10; index += 1) {
      const { stream } = await waitUntil(() => opened[index], { what: `connection ${index}` });
      stream.on("data", (bytes: Buffer) => (read += bytes.length));
    }
    await waitUntil(() => read === 10_000_000, { what: "all of it" });
    expect(tunnel.stats().unreadBytes).toBe(0);
    tunnel.close({ by: "us", code: "done", text: "" });
  });

  it("answers a ping that was not sent", async () => {
    const pair = tunnelAndPeer();
    pair.peer.control({ type: "answer", id: 2 ** 31 + 7, error: null, results: [] });
    await expectProtocolError(pair, /ping/);
  });

  it("gives nonsense as its reason to close", async () => {
    const { tunnel, peer } = tunnelAndPeer();
    const said = { code: "<script>", text: { toString: 5 } };
    peer.control({ type: "command", id: 1, command: "close", args: [said] });
    const reason = await within(tunnel.closed, { what: "the end of the tunnel" });
    expect(reason).toEqual({ by: "peer-app", code: "closed", text: "" });
  });

  it("ends within a frame", async () => {
    const { tunnel, peer } = tunnelAndPeer();
    peer.sendBytes(Uint8Array.of(254, 40, 0x63));
    peer.carrier.close({ by: "us", code: "gone", text: "" });
    const reason = await within(tunnel.closed, { what: "the end of the tunnel" });
    expect(reason).toMatchObject({ by: "network", code: "truncated" });
  });
});

describe("names that would change a header", () => {
  it.each(["evil,tcp,.a.example.com", "a\r\nb", "a b", "n".repeat(250), "\0"])(
    "%j never reaches the carrier",
    async (name) => {
      const { tunnel, peer } = tunnelAndPeer({ dialect: "telebit-relay" });
      expect(() => tunnel.open({ ...publicMeta(1), name })).toThrow(
        expect.objectContaining({ name: "WireError" }) as Error,
      );
      expect(tunnel.stats().openStreams).toBe(0);
      tunnel.open(publicMeta(2));
      const { frame } = await peer.next("connection");
      expect(frame).toMatchObject({ connection: publicId(2), name: "app.example.com" });
      tunnel.close({ by: "us", code: "done", text: "" });
    },
  );
});
