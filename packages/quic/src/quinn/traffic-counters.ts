import type { NativeConnectionStats } from "./addon.ts";

/** What a connection has sent and received, in whole numbers. */
export interface Traffic {
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly sentDatagrams: number;
  readonly receivedDatagrams: number;
  readonly lostDatagrams: number;
}

/** The counters that are added up. */
export type NativeTraffic = Pick<
  NativeConnectionStats,
  "udpTxDatagrams" | "udpTxBytes" | "udpRxDatagrams" | "udpRxBytes" | "pathLostPackets"
>;

/** Adds up quinn's 32-bit counters beyond 2^32. */
export class TrafficCounters {
  readonly #read: () => NativeTraffic;
  #last: NativeTraffic = noTraffic;
  #total = {
    sentBytes: 0,
    receivedBytes: 0,
    sentDatagrams: 0,
    receivedDatagrams: 0,
    lostDatagrams: 0,
  };
  #unsampledBytes = 0;

  constructor(read: () => NativeTraffic) {
    this.#read = read;
  }

  /** Notes payload that was moved; samples the counters often enough that none wraps around twice unseen. */
  moved(bytes: number): void {
    this.#unsampledBytes += bytes;
    if (this.#unsampledBytes >= sampleEveryBytes) this.total();
  }

  /** The totals now. */
  total(): Traffic {
    const now = this.#read();
    const last = this.#last;
    const total = this.#total;
    this.#total = {
      sentBytes: total.sentBytes + delta(now.udpTxBytes, last.udpTxBytes),
      receivedBytes: total.receivedBytes + delta(now.udpRxBytes, last.udpRxBytes),
      sentDatagrams: total.sentDatagrams + delta(now.udpTxDatagrams, last.udpTxDatagrams),
      receivedDatagrams: total.receivedDatagrams + delta(now.udpRxDatagrams, last.udpRxDatagrams),
      lostDatagrams: total.lostDatagrams + delta(now.pathLostPackets, last.pathLostPackets),
    };
    this.#last = now;
    this.#unsampledBytes = 0;
    return this.#total;
  }
}

function delta(now: number, before: number): number {
  return (now - before) >>> 0;
}

const noTraffic: NativeTraffic = {
  udpTxDatagrams: 0,
  udpTxBytes: 0,
  udpRxDatagrams: 0,
  udpRxBytes: 0,
  pathLostPackets: 0,
};

/** Payload in both directions together; with every overhead still far below 2^32 bytes. */
const sampleEveryBytes = 2 ** 30;
