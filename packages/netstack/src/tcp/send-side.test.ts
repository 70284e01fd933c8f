import { describe, expect, test } from "vitest";
import { RttEstimator } from "./rtt-estimator.ts";
import { SendSide } from "./send-side.ts";
import { defaultTcpSettings, type TcpSettings } from "./tcp-settings.ts";

interface Sent {
  readonly position: number;
  readonly bytes: number;
  readonly fin: boolean;
  readonly push: boolean;
}

/** A send side after the handshake, with segments of 100 bytes and what it sends. */
class Sending {
  readonly side: SendSide;
  nowMs = 1_000;
  #sent: Sent[] = [];

  constructor(windowBytes = 100_000, settings: Partial<TcpSettings> = {}) {
    const rtt = new RttEstimator({ initialMs: 1_000, minMs: 200, maxMs: 60_000 });
    this.side = new SendSide({ ...defaultTcpSettings, ...settings }, rtt, {
      sendData: (position, parts, fin, push) => {
        const bytes = parts.reduce((sum, part) => sum + part.length, 0);
        this.#sent.push({ position, bytes, fin, push });
      },
    });
    this.side.synSent();
    this.side.begin({ initial: 0, segmentBytes: 100, sackAllowed: false });
    this.side.setWindow(windowBytes, 1, 1);
  }

  write(bytes: number): Sent[] {
    this.side.buffer.append(new Uint8Array(bytes));
    return this.flush();
  }

  flush(): Sent[] {
    this.side.flush(this.nowMs, 0);
    return this.taken();
  }

  acknowledge(
    position: number,
    windowBytes = 100_000,
    carriesData = false,
    segmentPosition = 1,
  ): Sent[] {
    this.side.acknowledge(
      {
        position,
        segmentPosition,
        windowBytes,
        carriesData,
        sack: undefined,
        timestampRttMs: undefined,
      },
      this.nowMs,
    );
    return this.flush();
  }

  /** Lets time pass to the next expiry. */
  expire(): Sent[] {
    this.nowMs = this.side.timerAtMs;
    this.side.expire(this.nowMs, 0);
    return this.taken();
  }

  taken(): Sent[] {
    return this.#sent.splice(0);
  }
}

describe("the send side", () => {
  test("sends whole segments and the rest at once, with PSH on the last: Nagle is off", () => {
    const sending = new Sending();
    expect(sending.write(250)).toEqual([
      { position: 1, bytes: 100, fin: false, push: false },
      { position: 101, bytes: 100, fin: false, push: false },
      { position: 201, bytes: 50, fin: false, push: true },
    ]);
    expect(sending.write(1)).toHaveLength(1);
  });

  test("leaves room for options", () => {
    const sending = new Sending();
    sending.side.buffer.append(new Uint8Array(100));
    sending.side.flush(sending.nowMs, 30);
    expect(sending.taken().map(({ bytes }) => bytes)).toEqual([70, 30]);
  });

  test("sends ten segments at first, and two for each that is acknowledged", () => {
    const sending = new Sending();
    expect(sending.write(10_000)).toHaveLength(10);
    expect(sending.acknowledge(101)).toHaveLength(2);
  });

  test("lets the window grow only when it was what limited us (RFC 9438 §5.8)", () => {
    const sending = new Sending();
    for (let position = 1; position < 5_000; position += 100) {
      sending.write(100);
      sending.acknowledge(position + 100);
    }
    expect(sending.write(10_000)).toHaveLength(10);
  });

  test("keeps within the peer's window, and sends no small piece of it (RFC 9293 §3.8.6.2.1)", () => {
    const sending = new Sending(230);
    expect(sending.write(1_000)).toHaveLength(2);
    expect(sending.acknowledge(201, 40)).toEqual([]);
    expect(sending.acknowledge(201, 120)).toMatchObject([{ position: 201, bytes: 100 }]);
  });

  test("sends half of a window that was never larger than a segment", () => {
    const sending = new Sending(60);
    expect(sending.write(1_000)).toMatchObject([{ bytes: 60 }]);
    expect(sending.acknowledge(61, 29)).toEqual([]);
    expect(sending.acknowledge(61, 30)).toMatchObject([{ bytes: 30 }]);
  });

  test("sends FIN with the last bytes, or alone, once", () => {
    const sending = new Sending();
    sending.side.buffer.append(new Uint8Array(150));
    sending.side.finish();
    expect(sending.flush().map(({ fin }) => fin)).toEqual([false, true]);
    expect(sending.flush()).toEqual([]);
    sending.acknowledge(151);
    expect(sending.side.isFinAcknowledged).toBe(false);
    sending.acknowledge(152);
    expect(sending.side.isFinAcknowledged).toBe(true);
    expect(sending.side.timerAtMs).toBe(Infinity);
    const alone = new Sending();
    alone.side.finish();
    expect(alone.flush()).toEqual([{ position: 1, bytes: 0, fin: true, push: false }]);
  });

  test("sends the first segment again when the timer expires, and doubles it (RFC 6298 §5)", () => {
    const sending = new Sending();
    sending.write(300);
    expect(sending.side.timerAtMs).toBe(2_000);
    expect(sending.expire()).toMatchObject([{ position: 1, bytes: 100 }]);
    expect(sending.side.timerAtMs - sending.nowMs).toBe(2_000);
    expect(sending.expire()).toMatchObject([{ position: 1 }]);
    // Slow start from one segment: the acknowledgement lets two go again.
    expect(sending.acknowledge(101)).toMatchObject([{ position: 101 }, { position: 201 }]);
    expect(sending.side.figures.retransmittedSegments).toBe(4);
  });

  test("sends FIN again as well", () => {
    const sending = new Sending();
    sending.side.finish();
    sending.flush();
    expect(sending.expire()).toEqual([{ position: 1, bytes: 0, fin: true, push: false }]);
  });

  test("restarts the timer with each acknowledgement, and stops it with the last", () => {
    const sending = new Sending();
    sending.write(200);
    sending.nowMs = 1_100;
    sending.acknowledge(101);
    expect(sending.side.timerAtMs).toBe(1_100 + sending.side.rtt.rtoMs);
    sending.acknowledge(201);
    expect(sending.side.timerAtMs).toBe(Infinity);
  });

  test("takes samples of what was sent once only (Karn's rule, RFC 6298 §3)", () => {
    const sending = new Sending();
    sending.write(100);
    sending.nowMs += 70;
    sending.acknowledge(101);
    expect(sending.side.rtt.smoothedMs).toBe(70);
    sending.write(100);
    sending.expire();
    sending.nowMs += 5_000;
    sending.acknowledge(201);
    expect(sending.side.rtt.smoothedMs).toBe(70);
  });

  test("sends again at the third duplicate, not for acknowledgements with data or windows", () => {
    const sending = new Sending();
    sending.write(1_000);
    for (let count = 0; count < 9; count += 1) sending.acknowledge(1, 100_000, true);
    for (let count = 0; count < 9; count += 1) sending.acknowledge(1, 100_000 + count + 1);
    expect(sending.side.figures.retransmittedSegments).toBe(0);
    const last = 100_009;
    expect([sending.acknowledge(1, last), sending.acknowledge(1, last)]).toEqual([[], []]);
    expect(sending.acknowledge(1, last)).toMatchObject([{ position: 1, bytes: 100 }]);
  });

  test("sends what is lost first of all again, though the smaller window is full (RFC 6675 §5 step 4.3)", () => {
    const sending = new Sending();
    sending.write(10_000);
    for (let position = 101; position <= 1_001; position += 100) sending.acknowledge(position);
    for (let count = 0; count < 2; count += 1) sending.acknowledge(1_001);
    // Of 22 one is lost and three have left the network; fifteen may be in it.
    expect(sending.acknowledge(1_001)).toMatchObject([{ position: 1_001, bytes: 100 }]);
  });

  test("has a smaller window after fast recovery, once (RFC 5681 §3.2, RFC 9438 §4.6)", () => {
    const sending = new Sending();
    sending.write(1_000);
    for (let count = 0; count < 3; count += 1) sending.acknowledge(1);
    sending.acknowledge(1_001);
    expect(sending.write(10_000)).toHaveLength(7);
  });

  test("lets that window not grow while gaps are filled one by one (RFC 6582 §3.2)", () => {
    const sending = new Sending();
    sending.write(10_000);
    for (let count = 0; count < 3; count += 1) sending.acknowledge(1);
    const recoveryPoint = sending.side.next;
    for (let position = 101; position <= recoveryPoint; position += 100) {
      sending.acknowledge(position);
    }
    expect(sending.side.acknowledged).toBe(recoveryPoint);
    // Each of the three duplicates let a segment go beyond it.
    expect(sending.side.next - recoveryPoint).toBe(700 + 300);
  });

  test("takes no sample of what a duplicate had it send again (Karn's rule, RFC 6298 §3)", () => {
    const sending = new Sending();
    sending.write(1_000);
    for (let count = 0; count < 3; count += 1) sending.acknowledge(1);
    sending.nowMs += 5_000;
    sending.acknowledge(1_001);
    expect(sending.side.rtt.smoothedMs).toBe(0);
  });

  test("takes no window of a segment that was overtaken (SND.WL1, RFC 9293 §3.10.7.4)", () => {
    const sending = new Sending();
    sending.write(200);
    sending.acknowledge(101, 5_000, false, 20);
    sending.acknowledge(101, 60, false, 10);
    expect(sending.side.windowBytes).toBe(5_000);
    sending.acknowledge(101, 7_000, false, 20);
    expect(sending.side.windowBytes).toBe(7_000);
  });

  test("ignores old acknowledgements even on the newest of segments", () => {
    const sending = new Sending();
    sending.write(300);
    sending.acknowledge(201, 5_000, false, 10);
    sending.acknowledge(101, 0, false, 20);
    expect([sending.side.acknowledged, sending.side.windowBytes]).toEqual([201, 5_000]);
  });

  test("ignores old acknowledgements and their windows", () => {
    const sending = new Sending();
    sending.write(200);
    sending.acknowledge(201, 5_000);
    sending.acknowledge(101, 0);
    expect([sending.side.acknowledged, sending.side.windowBytes]).toEqual([201, 5_000]);
  });

  test("begins with one segment at every time-out, be it the second of one recovery (RFC 5681 §3.1)", () => {
    const sending = new Sending();
    sending.write(40_000);
    for (let position = 101; position < 3_000; position += 100) sending.acknowledge(position);
    expect(sending.expire()).toHaveLength(1);
    for (let count = 0; count < 6; count += 1) {
      const { acknowledged } = sending.side;
      sending.acknowledge(acknowledged + 100);
    }
    expect(sending.expire()).toHaveLength(1);
    // Twice for the same segment, as at the first.
    expect(sending.expire()).toHaveLength(1);
    expect(sending.acknowledge(sending.side.acknowledged + 100)).toHaveLength(2);
  });

  test("asks a closed window by one octet, ever more rarely (RFC 9293 §3.8.6.1)", () => {
    const sending = new Sending(100);
    sending.write(500);
    sending.acknowledge(101, 0);
    const times = [sending.nowMs];
    for (let count = 0; count < 8; count += 1) {
      expect(sending.expire()).toMatchObject([{ position: 101, bytes: 1 }]);
      times.push(sending.nowMs);
      sending.acknowledge(101, 0);
    }
    const delays = times.slice(1).map((ms, index) => ms - (times[index] ?? 0));
    expect(delays).toEqual([200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
    expect(sending.acknowledge(102, 100_000)).toMatchObject([
      { position: 102, bytes: 100 },
      { bytes: 100 },
      { bytes: 100 },
      { bytes: 99 },
    ]);
  });

  test("asks a window that closes again as often as at first", () => {
    const sending = new Sending(100);
    sending.write(500);
    sending.acknowledge(101, 0);
    for (let count = 0; count < 5; count += 1) {
      sending.expire();
      sending.acknowledge(101, 0);
    }
    expect(sending.acknowledge(102, 100)).toMatchObject([{ position: 102, bytes: 100 }]);
    sending.acknowledge(202, 0);
    expect(sending.side.timerAtMs - sending.nowMs).toBe(200);
  });

  test("fills small windows as often as the peer opens them", () => {
    const sending = new Sending(1_000);
    sending.write(2_000);
    sending.acknowledge(1_001, 30);
    for (let end = 1_031; end < 1_200; end += 30) {
      expect(sending.side.timerAtMs - sending.nowMs).toBe(200);
      sending.expire();
      sending.acknowledge(end, 30);
    }
  });

  test("takes a small window in the end, though it is not worth a segment", () => {
    const sending = new Sending(1_000);
    sending.write(2_000);
    sending.acknowledge(1_001, 30);
    expect(sending.expire()).toMatchObject([{ position: 1_001, bytes: 30 }]);
  });

  test("gives up when nothing is acknowledged, but not while a closed window is answered", () => {
    const sending = new Sending(100, { userTimeoutMs: 30_000 });
    expect(sending.side.givesUpAtMs).toBe(Infinity);
    sending.write(500);
    expect(sending.side.givesUpAtMs).toBe(31_000);
    sending.nowMs = 20_000;
    sending.acknowledge(101, 0);
    expect(sending.side.givesUpAtMs).toBe(50_000);
    sending.expire();
    sending.nowMs = 40_000;
    sending.acknowledge(101, 0);
    expect(sending.side.givesUpAtMs).toBe(70_000);
    sending.acknowledge(101, 10_000);
    sending.acknowledge(501, 10_000);
    expect(sending.side.givesUpAtMs).toBe(Infinity);
  });

  test("holds writers back beyond its buffer", () => {
    const sending = new Sending(0, { sendBufferBytes: 1_000 });
    sending.write(999);
    expect(sending.side.hasRoom).toBe(true);
    sending.write(1);
    expect(sending.side.hasRoom).toBe(false);
  });

  test("begins anew with ten segments after idleness (RFC 5681 §4.1)", () => {
    const sending = new Sending();
    sending.write(3_000);
    sending.acknowledge(1_001);
    sending.acknowledge(2_801);
    sending.acknowledge(3_001);
    expect(sending.write(1_600)).toHaveLength(16);
    sending.acknowledge(4_601);
    sending.nowMs += 10_000;
    expect(sending.write(10_000)).toHaveLength(10);
  });

  test("stops when it has sent what one turn may, and says that there may be more", () => {
    const sending = new Sending();
    sending.side.buffer.append(new Uint8Array(1_000));
    expect(sending.side.flush(sending.nowMs, 0, 300)).toBe(false);
    expect(sending.taken()).toHaveLength(3);
    expect(sending.side.flush(sending.nowMs, 0)).toBe(true);
    expect(sending.taken()).toHaveLength(7);
  });

  test.each([
    [
      "asks for a lost tail by its last segment (RFC 8985 §7.3)",
      true,
      [{ position: 101, bytes: 100 }],
    ],
    ["asks for none while what it sends does not leave at once", false, []],
  ])("%s", (_what, hasRoom, sent) => {
    const sending = new Sending();
    sending.side.begin({ initial: 0, segmentBytes: 100, sackAllowed: true });
    sending.side.rtt.sample(20);
    sending.write(200);
    sending.nowMs += 40;
    expect(sending.side.dueMs).toBe(sending.nowMs);
    sending.side.wake(sending.nowMs, 0, hasRoom);
    expect(sending.taken()).toMatchObject(sent);
    expect(sending.side.dueMs).toBeGreaterThan(sending.nowMs);
  });

  test("gives what it sends after a probe a time-out of its own", () => {
    const sending = new Sending(1_000);
    sending.write(2_000);
    sending.acknowledge(1_001, 30);
    const probeAtMs = sending.side.timerAtMs;
    sending.nowMs = probeAtMs - 1;
    expect(sending.acknowledge(1_001, 1_000)).toHaveLength(10);
    expect(sending.side.timerAtMs).toBeGreaterThanOrEqual(sending.nowMs + 200);
  });
});
