import { describe, expect, it } from "vitest";
import {
  closeReasonFromQuinn,
  dialErrorFromQuinn,
  listenErrorFromQuinn,
  streamFault,
} from "./from-quinn.ts";

const address = { host: "192.0.2.7", port: 30380 };

describe("what quinn says", () => {
  it.each([
    ["stream reset by peer: error 0", "reset"],
    ["sending stopped by peer: error 7", "stopped"],
    ["connection lost", "connection_lost"],
    ["closed stream", "unknown"],
  ])("of a stream: %s", (text, fault) => {
    expect(streamFault(new Error(text))).toBe(fault);
  });

  it.each([
    ["timed out", "timeout", "idle", "nothing heard"],
    ["closed by peer: 0", "peer-app", "closed_by_peer", "the peer closed the connection"],
    ["closed by peer: bye (code 3)", "peer-app", "closed_by_peer", "bye (code 3)"],
    ["aborted by peer: CONNECTION_ID_LIMIT_ERROR", "peer-stack", "aborted_by_peer", "LIMIT"],
    ["reset by peer", "peer-stack", "stateless_reset", "no longer knows"],
    ["closed", "us", "endpoint_closed", "closed"],
    ["endpoint driver future was dropped", "network", "endpoint_lost", "driver"],
    ["something new", "peer-stack", "protocol_violation", "something new"],
  ])("of the end of a connection: %s", (text, by, code, told) => {
    const reason = closeReasonFromQuinn(new Error(text));
    expect(reason).toMatchObject({ by, code });
    expect(reason.text).toContain(told);
  });

  it.each([
    ["timed out", "timeout"],
    ["closed", "aborted"],
    ["invalid remote address: 192.0.2.7:0", "dial_failed"],
    ["Too many open files (os error 24)", "dial_failed"],
    ["closed by peer: 0", "handshake_failed"],
    ["the cryptographic handshake failed: error 46", "handshake_failed"],
  ])("of a dial: %s", (text, code) => {
    const error = dialErrorFromQuinn(new Error(text), address);
    expect(error.code).toBe(code);
    expect(error.message).toContain("UDP 192.0.2.7 port 30380");
  });

  it.each([
    ["Address already in use (os error 98)", "address_in_use"],
    [
      "Only one usage of each socket address is normally permitted. (os error 10048)",
      "address_in_use",
    ],
    ["Cannot assign requested address (os error 99)", "address_unavailable"],
    ["Permission denied (os error 13)", "address_unavailable"],
    ["invalid IP address syntax", "address_unavailable"],
  ])("of a bind: %s", (text, code) => {
    const error = listenErrorFromQuinn(new Error(text), address);
    expect(error.code).toBe(code);
    expect(error.message).toContain("UDP 192.0.2.7 port 30380");
  });
});
