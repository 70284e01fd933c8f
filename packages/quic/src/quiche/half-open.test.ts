import { expect, test } from "vitest";
import {
  handshakeBurstPerSource,
  HandshakeAdmission,
  handshakesPerSecondPerSource,
  maxHalfOpenPerSource,
  sourceOf,
} from "./half-open.ts";

const limits = { maxHalfOpen: 1_000, retryAboveHalfOpen: 2 };

function address(index: number): string {
  return `10.0.${index >> 8}.${index & 255}`;
}

test("up to the threshold handshakes are accepted, above it those that proved their address", () => {
  const admission = new HandshakeAdmission(limits);
  for (let index = 0; index < 3; index += 1) {
    expect(admission.decide(address(index), false, 0)).toBe("accept");
    admission.started(address(index), 0);
  }
  expect(admission.decide(address(9), false, 0)).toBe("retry");
  expect(admission.decide(address(9), true, 0)).toBe("accept");
  admission.ended(address(0), 0);
  expect(admission.halfOpen).toBe(2);
  expect(admission.decide(address(9), false, 0)).toBe("accept");
});

test("at the limit nobody is accepted", () => {
  const admission = new HandshakeAdmission({ maxHalfOpen: 3, retryAboveHalfOpen: 10 });
  for (let index = 0; index < 3; index += 1) admission.started(address(index), 0);
  expect(admission.decide(address(9), true, 0)).toBe("half_open_limit");
});

test("one source has its own limit", () => {
  const admission = new HandshakeAdmission({ maxHalfOpen: 10_000, retryAboveHalfOpen: 10_000 });
  for (let count = 0; count < maxHalfOpenPerSource; count += 1) admission.started(address(1), 0);
  expect(admission.decide(address(1), true, 0)).toBe("half_open_limit");
  expect(admission.decide(address(2), true, 0)).toBe("accept");
});

test("where many handshakes are under way, a few sources cannot keep the others out", () => {
  const admission = new HandshakeAdmission({ maxHalfOpen: 1_024, retryAboveHalfOpen: 32 });
  for (let index = 0; index < 15; index += 1) {
    while (admission.decide(address(index), true, 0) === "accept") {
      admission.started(address(index), 0);
    }
    expect(admission.halfOpen).toBe(64 * (index + 1));
  }
  expect(admission.decide(address(99), true, 0)).toBe("accept");
});

test("one source has its own rate, which refills", () => {
  const admission = new HandshakeAdmission(limits);
  for (let count = 0; count < handshakeBurstPerSource; count += 1) {
    admission.started(address(1), 0);
    admission.ended(address(1), 0);
  }
  expect(admission.decide(address(1), true, 0)).toBe("rate_limit");
  expect(admission.decide(address(2), true, 0)).toBe("accept");
  expect(admission.decide(address(1), true, 1_000 / handshakesPerSecondPerSource)).toBe("accept");
});

test("many sources are forgotten, but none with a handshake under way", () => {
  const admission = new HandshakeAdmission({ maxHalfOpen: 10_000, retryAboveHalfOpen: 10_000 });
  for (let count = 0; count < maxHalfOpenPerSource; count += 1) admission.started(address(1), 0);
  for (let index = 2; index < 20_000; index += 1) admission.decide(address(index), false, 0);
  expect(admission.decide(address(1), true, 0)).toBe("half_open_limit");
  expect(admission.halfOpen).toBe(maxHalfOpenPerSource);
});

test.each([
  ["192.0.2.7", "192.0.2.7"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
  ["2001:db8::1", "2001:db8:0:0"],
  ["::1", "0:0:0:0"],
  ["fe80::1%eth0", "fe80:0:0:0"],
  ["2001:db8:1:2::", "2001:db8:1:2"],
  ["64:ff9b::192.0.2.1", "64:ff9b:0:0"],
])("the source of %s is %s", (host, source) => {
  expect(sourceOf(host)).toBe(source);
});
