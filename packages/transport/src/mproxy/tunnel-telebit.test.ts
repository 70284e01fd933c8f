import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { millis } from "@culvert/runtime";
import {
  readBytes,
  readPayload,
  streamOutcome,
  VirtualClock,
  waitUntil,
  within,
  writePayload,
} from "@culvert/testkit";
import { formatErrorBody } from "@culvert/wire";
import { publicId, publicMeta, tunnelAndPeer } from "./raw-peer.test-data.ts";

const done = { by: "us", code: "done", text: "" } as const;

describe("a tunnel to a Telebit device", () => {
  it("opens a connection with its first bytes in the frame that opens it, and the id as it is", async () => {
    const { tunnel, peer } = tunnelAndPeer({ dialect: "telebit-relay" });
    const id = { family: "IPv6", address: "::ffff:127.0.0.1", port: "50000" };
    const meta = { id, service: "tcp", servicePort: "2222", name: "" };
    const stream = tunnel.open(meta, Buffer.from("SSH-2.0-"));
    stream.write("OpenSSH");
    const { frame, body } = await peer.next("connection");
    expect(frame).toMatchObject({ connection: id, service: "tcp", servicePort: "2222", name: "" });
    expect(body.toString()).toMatch(/^SSH-2\.0-/);
    await waitUntil(
      () => Buffer.concat(peer.frames.map((sent) => sent.body)).toString() === "SSH-2.0-OpenSSH",
      { what: "what was written" },
    );
    tunnel.close(done);
  });

  it("sends nothing more after the device's end, and answers it", async () => {
    const { tunnel, peer } = tunnelAndPeer({ dialect: "telebit-relay" });
    const stream = tunnel.open(publicMeta(1));
    await peer.next("connection");
    peer.send("data", publicId(1), "the answer");
    peer.send("end", publicId(1));
    const outcome = streamOutcome(stream);
    let read = "";
    stream.on("data", (bytes: Buffer) => (read += bytes.toString()));
    await peer.next("end");
    stream.write("too late");
    stream.end();
    expect(await outcome).toMatchObject({ ended: true });
    expect(read).toBe("the answer");
    expect(peer.of("data")).toEqual([]);
    expect(peer.of("error")).toEqual([]);
    expect(peer.of("end")).toHaveLength(1);
    await waitUntil(() => tunnel.stats().openStreams === 0, { what: "the end" });
    tunnel.close(done);
  });

  it("gives a writer its memory back only when what was taken of it is handed over, also after the device's end", async () => {
    const { tunnel, peer } = tunnelAndPeer({ dialect: "telebit-relay" });
    const stream = tunnel.open(publicMeta(1));
    await peer.next("connection");
    peer.carrier.pause();
    let given = 0;
    const chunk = Buffer.alloc(1024 * 1024, 5);
    stream.write(chunk, () => (given += 1));
    peer.send("end", publicId(1));
    stream.resume();
    await within(once(stream, "end"), { what: "the device's end" });
    expect(given).toBe(0);
    peer.carrier.resume();
    await waitUntil(() => given === 1, { what: "the memory" });
    await peer.next("end");
    // Whole frames, though the rest was thrown away.
    for (const { frame, body } of peer.of("data")) {
      expect(body.equals(Buffer.alloc(frame.length, 5))).toBe(true);
    }
    expect(peer.of("data").length).toBeGreaterThan(0);
    tunnel.close(done);
  });

  it("reads what came before the device's end, though an error follows that", async () => {
    const { tunnel, peer } = tunnelAndPeer({ dialect: "telebit-relay" });
    const stream = tunnel.open(publicMeta(1));
    await peer.next("connection");
    peer.send("data", publicId(1), "x".repeat(300_000));
    peer.send("end", publicId(1));
    peer.send("error", publicId(1));
    await peer.next("end");
    expect((await within(readPayload(stream), { what: "the rest" })).bytes).toBe(300_000);
    stream.end();
    await waitUntil(() => tunnel.stats().openStreams === 0, { what: "the end" });
    tunnel.close(done);
  });

  it("reads on after its own end, until the device's", async () => {
    const { tunnel, peer } = tunnelAndPeer({ dialect: "telebit-relay" });
    const stream = tunnel.open(publicMeta(1));
    stream.end("GET / HTTP/1.0\r\n\r\n");
    await peer.next("end");
    const sent = [...peer.of("connection"), ...peer.of("data")].map(({ body }) => body);
    expect(Buffer.concat(sent).toString()).toBe("GET / HTTP/1.0\r\n\r\n");
    const reading = readPayload(stream);
    for (let turn = 0; turn < 100; turn += 1) peer.send("data", publicId(1), "x".repeat(1_000));
    peer.send("end", publicId(1), " ");
    expect((await within(reading, { what: "the answer" })).bytes).toBe(100_000);
    await waitUntil(() => tunnel.stats().openStreams === 0, { what: "the end" });
    tunnel.close(done);
  });

  it("asks it to pause above a megabyte, to resume when that is read, and resets above eight", async () => {
    const { tunnel, peer } = tunnelAndPeer({ dialect: "telebit-relay" });
    const stream = tunnel.open(publicMeta(1));
    const chunk = new Uint8Array(100_000);
    for (let turn = 0; turn < 13; turn += 1) peer.send("data", publicId(1), chunk);
    const { body } = await peer.next("pause");
    expect(Number(body.toString())).toBeLessThan(1_300_000);
    let read = 0;
    stream.on("data", (bytes: Buffer) => (read += bytes.length));
    const resumed = await peer.next("resume");
    expect(Number(resumed.body.toString())).toBeGreaterThan(1_000_000);
    await waitUntil(() => read === 1_300_000, { what: "all of it" });
    stream.pause();
    const failed = new Promise((resolve) => stream.once("error", resolve));
    for (let turn = 0; turn < 100; turn += 1) peer.send("data", publicId(1), chunk);
    await peer.next("error");
    expect(await failed).toMatchObject({ name: "LimitError" });
    expect(tunnel.stats()).toMatchObject({ openStreams: 0, unreadBytes: 0 });
    expect(tunnel.stats().drops).toMatchObject({ window_exceeded: 1 });
    tunnel.close(done);
  });

  it("stops when the device asks for a pause, and goes on when it resumes", async () => {
    const { tunnel, peer } = tunnelAndPeer({ dialect: "telebit-relay" });
    const stream = tunnel.open(publicMeta(1));
    stream.write("before");
    await peer.next("connection");
    peer.send("pause", publicId(1), "6");
    const other = tunnel.open(publicMeta(2));
    await peer.next("connection", 2);
    stream.write("held");
    other.write("not held");
    expect((await peer.next("data")).body.toString()).toBe("not held");
    peer.send("resume", publicId(1), "6");
    expect((await peer.next("data", 2)).body.toString()).toBe("held");
    tunnel.close(done);
  });

  it("tells the device of a connection it does not know, but not of one that is just over", async () => {
    const { tunnel, peer } = tunnelAndPeer({ dialect: "telebit-relay" });
    const stream = tunnel.open(publicMeta(1));
    await peer.next("connection");
    stream.destroy(new Error("the client went away"));
    await peer.next("error");
    peer.send("data", publicId(1), "under way");
    peer.send("pause", publicId(1), "0");
    peer.send("data", publicId(9), "whose?");
    const { frame, body } = await peer.next("error", 2);
    expect(frame.connection).toEqual(publicId(9));
    expect(JSON.parse(body.toString())).toMatchObject({ code: "E_NO_CONN" });
    peer.send("end", publicId(9));
    peer.send("end", publicId(1));
    // It has ended the connection too: what comes for it now is for none.
    peer.send("data", publicId(1), "again");
    expect((await peer.next("error", 3)).frame.connection).toEqual(publicId(1));
    expect(tunnel.stats().drops).toMatchObject({ late_frame: 4, unknown_connection: 2 });
    tunnel.close(done);
  });

  it("lets it open nothing", async () => {
    const { tunnel, peer } = tunnelAndPeer({ dialect: "telebit-relay" });
    peer.send("connection", publicId(1));
    const reason = await within(tunnel.closed, { what: "the end" });
    expect(reason).toMatchObject({ code: "protocol_error" });
  });

  it("destroys a half-closed connection on which nothing happens", async () => {
    const clock = new VirtualClock();
    const { tunnel, peer } = tunnelAndPeer({ dialect: "telebit-relay", clock });
    const stream = tunnel.open(publicMeta(1));
    stream.end("request");
    stream.resume();
    await peer.next("end");
    const outcome = streamOutcome(stream);
    await clock.advance(59_000);
    peer.send("data", publicId(1), "slowly");
    await clock.advance(59_000);
    expect(stream.destroyed).toBe(false);
    await clock.advance(120_000);
    expect((await outcome).error).toMatchObject({ code: "timeout" });
    expect(peer.of("error")).toHaveLength(1);
    tunnel.close(done);
  });
});

describe("a tunnel to a Telebit relay", () => {
  it("takes connections, with and without first bytes, and data without a connection", async () => {
    const { tunnel, peer, opened } = tunnelAndPeer({ dialect: "telebit-device" });
    peer.send("connection", publicId(1));
    peer.send("data", publicId(1), "one");
    peer.send("connection", publicId(2), "two");
    peer.send("data", publicId(3), "three");
    await waitUntil(() => opened.length === 3, { what: "three connections" });
    for (const [index, text] of ["one", "two", "three"].entries()) {
      const { stream, meta } = opened[index]!;
      expect(meta).toMatchObject({ id: publicId(index + 1), service: "tcp" });
      expect((await readBytes(stream, text.length)).toString()).toBe(text);
    }
    tunnel.close(done);
  });

  it("does not take bytes that were under way for a new connection", async () => {
    const { tunnel, peer, opened } = tunnelAndPeer({ dialect: "telebit-device" });
    peer.send("connection", publicId(1), "hello");
    await waitUntil(() => opened[0], { what: "a connection" });
    opened[0]!.stream.destroy();
    await peer.next("error");
    peer.send("data", publicId(1), "under way");
    peer.send("end", publicId(1));
    peer.send("data", publicId(1), "a new one");
    await waitUntil(() => opened[1], { what: "the client that uses its port again" });
    expect(opened).toHaveLength(2);
    expect(tunnel.stats().drops.late_frame).toBe(2);
    tunnel.close(done);
  });

  it("replies after the relay's end, and then ends too", async () => {
    const { tunnel, peer, opened } = tunnelAndPeer({ dialect: "telebit-device" });
    peer.send("connection", publicId(1), "request");
    peer.send("end", publicId(1));
    const { stream } = await waitUntil(() => opened[0], { what: "a connection" });
    stream.resume();
    const sent = await writePayload(stream, 300_000, 5);
    await peer.next("end");
    const got = peer.of("data").reduce((bytes, { body }) => bytes + body.length, 0);
    expect(got).toBe(sent.bytes);
    await waitUntil(() => tunnel.stats().openStreams === 0, { what: "the end" });
    tunnel.close(done);
  });

  it("replaces a connection that is opened anew", async () => {
    const { tunnel, peer, opened } = tunnelAndPeer({ dialect: "telebit-device" });
    peer.send("connection", publicId(1), "old");
    await waitUntil(() => opened[0], { what: "a connection" });
    const outcome = streamOutcome(opened[0]!.stream);
    peer.send("connection", publicId(1), "new");
    await waitUntil(() => opened[1], { what: "another" });
    expect((await outcome).error).toMatchObject({ code: "stream_reset" });
    opened[1]!.stream.write("answer");
    expect((await peer.next("data")).body.toString()).toBe("answer");
    expect(peer.of("error")).toEqual([]);
    tunnel.close(done);
  });

  it("hears why a connection was reset", async () => {
    const { tunnel, peer, opened } = tunnelAndPeer({ dialect: "telebit-device" });
    for (const [index, body] of ["", formatErrorBody({ message: "gone", code: "E_X" })].entries()) {
      peer.send("connection", publicId(index));
      const { stream } = await waitUntil(() => opened[index], { what: "a connection" });
      const outcome = streamOutcome(stream);
      peer.send("error", publicId(index), body);
      const code = index === 0 ? "E_UNKNOWN_ERR" : "E_X";
      expect((await outcome).error).toMatchObject({ code: "stream_reset", data: { code } });
    }
    tunnel.close(done);
  });

  it("has a full set of control messages to itself", async () => {
    const { tunnel, peer } = tunnelAndPeer({ dialect: "telebit-device" });
    const heard: unknown[] = [];
    tunnel.control.on((message) => heard.push(message));
    const messages = [
      { type: "command", id: 1, command: "hello", args: [[1], ["add_token"]] },
      { type: "command", id: 2, command: "ping", args: [] },
      { type: "answer", id: 241_896_672, error: null, results: [] },
      { type: "notice", error: { code: "E_BAD_COMMAND" } },
    ] as const;
    for (const message of messages) peer.control(message);
    await waitUntil(() => heard.length === 4, { what: "all messages" });
    expect(heard).toEqual(messages);
    tunnel.control.send({ type: "answer", id: 1, error: null, results: [] });
    expect((await peer.next("control")).body.toString()).toBe("[-1,null]");
    tunnel.close(done);
    await waitUntil(() => peer.closed, { what: "the end" });
    expect(peer.of("control")).toHaveLength(1);
  });

  it("has no liveness of its own where the carrier has none", async () => {
    const clock = new VirtualClock();
    const { tunnel } = tunnelAndPeer({
      dialect: "telebit-device",
      clock,
      settings: { idleTimeout: millis(1_000) },
    });
    await clock.advance(3_600_000);
    expect(tunnel.stats().sentFrames).toBe(0);
    tunnel.close(done);
    expect((await tunnel.closed).code).toBe("done");
  });
});
