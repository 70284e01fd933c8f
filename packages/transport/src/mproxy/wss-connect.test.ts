import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { systemClock } from "@culvert/runtime";
import { waitUntil } from "@culvert/testkit";
import { expect, onTestFinished, test } from "vitest";
import { connectTcp, upgradeToWebSocket } from "./wss-connect.ts";
import { sessionSubprotocol } from "./wss-names.ts";

const payload = Buffer.alloc(200, 0x41);

/** The bytes of the one frame that a dialler sends for {@link payload}. */
async function sentFrame(readBetween: boolean): Promise<Buffer> {
  let heard = Buffer.alloc(0);
  const server = createServer();
  server.on("upgrade", (request, socket, head) => {
    socket.on("error", () => undefined);
    const text = `${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash("sha1").update(text).digest("base64");
    const fields = [
      "Connection: Upgrade",
      "Upgrade: websocket",
      `Sec-WebSocket-Accept: ${accept}`,
      `Sec-WebSocket-Protocol: ${sessionSubprotocol}`,
    ];
    heard = head;
    socket.on("data", (chunk: Buffer) => (heard = Buffer.concat([heard, chunk])));
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${fields.join("\r\n")}\r\n\r\n`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const target = { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
  const { signal } = new AbortController();
  const socket = await connectTcp(target, signal);
  onTestFinished(() => {
    socket.destroy();
    server.close();
  });
  const options = { clock: systemClock, target, tls: false, readBetween, remote: "the relay" };
  const carrier = await upgradeToWebSocket(socket, options, signal);
  carrier.write([payload]);
  await waitUntil(() => heard.length === headerBytes + payload.length, { what: "the frame" });
  return heard;
}

test("what somebody between could read is masked at random", async () => {
  const masks = new Set<string>();
  for (let round = 0; round < 4; round += 1) {
    const frame = await sentFrame(true);
    expect([frame[0], frame[1]]).toEqual([0x82, 0x80 | 126]);
    const mask = frame.subarray(4, headerBytes);
    masks.add(mask.toString("hex"));
    const unmasked = frame.subarray(headerBytes).map((byte, at) => byte ^ (mask[at % 4] ?? 0));
    expect(payload.equals(unmasked)).toBe(true);
  }
  expect(masks.size).toBeGreaterThan(1);
});

test("inside TLS that ends at the relay the mask is there and nought", async () => {
  const frame = await sentFrame(false);
  expect(frame.subarray(0, headerBytes).toString("hex")).toBe("82fe00c800000000");
  expect(frame.subarray(headerBytes).equals(payload)).toBe(true);
});

/** Of a masked frame with a length of 16 bits (RFC 6455 §5.2). */
const headerBytes = 8;
