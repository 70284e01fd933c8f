import { expect, it } from "vitest";
import { TrafficCounters } from "./traffic-counters.ts";

it("counts beyond 32 bits, however seldom the totals are asked for", () => {
  let sent = 0;
  const counters = new TrafficCounters(() => ({
    udpTxBytes: sent % 2 ** 32,
    udpTxDatagrams: (sent / 1_250) % 2 ** 32,
    udpRxBytes: 5,
    udpRxDatagrams: 1,
    pathLostPackets: 0,
  }));
  for (let step = 0; step < 100_000; step += 1) {
    sent += 1_250_000;
    counters.moved(1_200_000);
  }
  expect(counters.total()).toEqual({
    sentBytes: 125_000_000_000,
    sentDatagrams: 100_000_000,
    receivedBytes: 5,
    receivedDatagrams: 1,
    lostDatagrams: 0,
  });
});
