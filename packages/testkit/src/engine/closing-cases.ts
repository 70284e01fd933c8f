import { expect } from "vitest";
import { millis, sleep, systemClock } from "@culvert/runtime";
import { anyPort } from "./engine-harness.ts";
import type { EngineSuite } from "./engine-suite.ts";
import { otherSide } from "../link/link.ts";
import { streamOutcome } from "../link/stream-outcome.ts";
import { readBytes } from "../payload.ts";
import { waitUntil, within } from "../wait-until.ts";

/** Cases about connections that end: closed by either side, or because the peer or the path failed. */
export function closingCases(suite: EngineSuite): void {
  const goodbye = { by: "us", code: "superseded", text: "a newer session took over" } as const;

  for (const side of ["client", "server"] as const) {
    const peer = otherSide(side);
    suite.test(`closed by the ${side}: both know by whom${closeNote(suite)}`, async (harness) => {
      const link = await harness.connect();
      await link.open(side);
      link[side].close(goodbye);
      link[side].close({ by: "us", code: "later", text: "the first reason stands" });
      expect(await within(link[side].closed, { what: "our own end" })).toEqual(goodbye);
      const heard = await within(link[peer].closed, { what: "the peer's end" });
      expect(heard.by).not.toBe("us");
      if (!suite.lacks("close_blame")) expect(heard.by).toBe("peer-app");
      if (!suite.lacks("close_reasons")) expect(heard.text).toContain(goodbye.text);
      expect(await link.accept(side)).toBeUndefined();
      expect(await link.accept(peer)).toBeUndefined();
    });

    suite.test(`a close by the ${side} resets every stream of both`, async (harness) => {
      const link = await harness.connect();
      const pairs = [await link.open("client"), await link.open("server")];
      const untaken = await link[side].openStream();
      untaken.write("nobody has seen me");
      const streams = [...pairs.flatMap(({ near, far }) => [near, far]), untaken];
      const outcomes = streams.map((stream) => streamOutcome(stream));
      link[side].close(goodbye);
      for (const { ended, error } of await Promise.all(outcomes)) {
        expect(ended).toBe(false);
        expect(error).toMatchObject({ name: "TransportError" });
      }
      await link.expectNoStreams();
    });
  }

  suite.test("openStream after the close is refused", async (harness) => {
    const link = await harness.connect();
    link.client.close(goodbye);
    await within(link.server.closed, { what: "the peer's end" });
    for (const side of ["client", "server"] as const) {
      await expect(link[side].openStream()).rejects.toMatchObject({
        name: "TransportError",
        code: "connection_closed",
      });
    }
  });

  suite.test("a connection without traffic stays open by keep-alive", async (harness) => {
    const link = await harness.connect();
    await sleep(systemClock, millis(2 * harness.settings.idleTimeout));
    const { near, far } = await link.open("server");
    near.destroy();
    far.destroy();
    await link.expectNoStreams();
  });

  suite.test("a killed listener is noticed by who dialled it", async (harness) => {
    const peer = await harness.spawnPeer({ kind: "listen", address: anyPort });
    const connection = await harness.dial(known(peer.address), { expectedPeer: peer.peerId });
    const stream = await connection.openStream();
    stream.write("hello");
    await within(readBytes(stream, 5), { what: "the echo" });
    const outcome = streamOutcome(stream);
    peer.kill();
    const limitMs = harness.settings.idleTimeout + noticeSlackMs;
    const reason = await within(connection.closed, { limitMs, what: "the end of the connection" });
    expect(reason.by).not.toBe("us");
    const { ended, error } = await outcome;
    expect(ended).toBe(false);
    expect(error).toMatchObject({ name: "TransportError" });
    await waitUntil(() => connection.stats().openStreams === 0, { what: "no open streams" });
  });

  suite.test("a killed dialler is noticed by the listener, which lives on", async (harness) => {
    const listener = await harness.listen();
    const expectedPeer = harness.pair.serverIdentity.peerId;
    const dialling = harness.spawnPeer({ kind: "dial", address: listener.address, expectedPeer });
    const peer = await dialling;
    const connection = await listener.next();
    expect(connection.peer).toBe(peer.peerId);
    const stream = await connection.openStream();
    stream.write("hello");
    await within(readBytes(stream, 5), { what: "the echo" });
    const outcome = streamOutcome(stream);
    peer.kill();
    const limitMs = harness.settings.idleTimeout + noticeSlackMs;
    const reason = await within(connection.closed, { limitMs, what: "the end of the connection" });
    expect(reason.by).not.toBe("us");
    expect((await outcome).ended).toBe(false);
    await harness.dial(listener.address);
    expect((await listener.next()).peer).toBe(harness.pair.clientIdentity.peerId);
  });

  suite.test("a frozen peer times out, and its waking up does no harm", async (harness) => {
    const peer = await harness.spawnPeer({ kind: "listen", address: anyPort });
    const address = known(peer.address);
    const connection = await harness.dial(address, { expectedPeer: peer.peerId });
    const stream = await connection.openStream();
    stream.write("hello");
    await within(readBytes(stream, 5), { what: "the echo" });
    const outcome = streamOutcome(stream);
    peer.freeze();
    const limitMs = harness.settings.idleTimeout + noticeSlackMs;
    const reason = await within(connection.closed, { limitMs, what: "the end of the connection" });
    expect(reason.by).toBe("timeout");
    expect((await outcome).ended).toBe(false);
    peer.thaw();
    const again = await harness.dial(address, { expectedPeer: peer.peerId });
    const second = await again.openStream();
    second.write("hello again");
    const echo = await within(readBytes(second, 11), { what: "the echo of a new connection" });
    expect(echo.toString()).toBe("hello again");
  });

  suite.test("a short freeze is survived", async (harness) => {
    const peer = await harness.spawnPeer({ kind: "listen", address: anyPort });
    const connection = await harness.dial(known(peer.address), { expectedPeer: peer.peerId });
    const stream = await connection.openStream();
    stream.write("hello");
    await within(readBytes(stream, 5), { what: "the echo" });
    peer.freeze();
    stream.write("while you slept");
    await sleep(systemClock, millis(harness.settings.idleTimeout / 3));
    peer.thaw();
    const echo = await within(readBytes(stream, 15), { what: "the echo" });
    expect(echo.toString()).toBe("while you slept");
  });
}

function closeNote(suite: EngineSuite): string {
  const missing = [
    ...(suite.lacks("close_blame") ? ["no blame"] : []),
    ...(suite.lacks("close_reasons") ? ["no reasons"] : []),
  ];
  return missing.length === 0 ? "" : ` (${missing.join(", ")})`;
}

function known<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("the peer does not listen");
  return value;
}

const noticeSlackMs = 2_000;
