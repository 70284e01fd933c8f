import { expect, it } from "vitest";
import { parseIpv4 } from "../router/ipv4.ts";
import { addressAt, destinationOffset, sourceOffset } from "./packet-switch.ts";
import { echoProbe, isAnswerOf } from "./echo-probe.ts";

const [vip, other] = [parseIpv4("10.0.0.1")!, parseIpv4("10.0.0.2")!];
const managerAddress = parseIpv4("192.0.0.8")!;

function packet(change: (bytes: Buffer) => void = () => undefined): Buffer {
  const bytes = Buffer.from(echoProbe(vip, 7));
  bytes.writeUInt32BE(vip, sourceOffset);
  bytes.writeUInt32BE(managerAddress, destinationOffset);
  bytes[20] = 0;
  change(bytes);
  return bytes;
}

it("a probe goes to the host, and its answer is the manager's", () => {
  expect(addressAt(echoProbe(vip, 7), destinationOffset)).toBe(vip);
  expect(isAnswerOf(vip, packet())).toBe(true);
});

it.each<[string, (bytes: Buffer) => void]>([
  ["of another source", (bytes) => void bytes.writeUInt32BE(other, sourceOffset)],
  ["to another", (bytes) => void bytes.writeUInt32BE(other, destinationOffset)],
  ["that is a request", (bytes) => void (bytes[20] = 8)],
  ["that is TCP", (bytes) => void (bytes[9] = 6)],
])("a packet %s is none of the manager's", (_what, change) => {
  expect(isAnswerOf(vip, packet(change))).toBe(false);
});

it("what is no whole packet is none of the manager's", () => {
  for (const length of [0, 9, 20]) {
    expect(isAnswerOf(vip, packet().subarray(0, length))).toBe(false);
  }
});
