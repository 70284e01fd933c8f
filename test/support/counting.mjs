/**
 * Loaded into a daemon before anything else: counts what it does and, at SIGUSR2, collects garbage and writes the counts into
 * `counts.PID.json` of its working folder. Counts, unlike times, are the same on any machine.
 */
import { Buffer } from "node:buffer";
import dgram from "node:dgram";
import { renameSync, writeFileSync } from "node:fs";
import { performance, PerformanceObserver } from "node:perf_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");
const counts = {
  timers: 0,
  signals: 0,
  logWrites: 0,
  datagrams: 0,
  bufferBytes: 0,
  fullCollections: 0,
};

const { setTimeout: realSetTimeout, AbortController: RealAbortController } = globalThis;
globalThis.setTimeout = Object.assign((...args) => {
  counts.timers += 1;
  return realSetTimeout(...args);
}, realSetTimeout);
globalThis.AbortController = class AbortController extends RealAbortController {
  constructor() {
    super();
    counts.signals += 1;
  }
};

const write = process.stderr.write.bind(process.stderr);
process.stderr.write = (...args) => {
  counts.logWrites += 1;
  return write(...args);
};

const send = dgram.Socket.prototype.send;
dgram.Socket.prototype.send = function (...args) {
  counts.datagrams += 1;
  return send.apply(this, args);
};

let making = false;
function countBytes(owner, name) {
  const make = owner[name];
  owner[name] = function (...args) {
    if (making) return make.apply(this, args);
    making = true;
    try {
      const made = make.apply(this, args);
      // A view of memory that is there already costs nothing.
      if (!(args[0] instanceof ArrayBuffer)) counts.bufferBytes += made.byteLength;
      return made;
    } finally {
      making = false;
    }
  };
}
for (const name of ["alloc", "allocUnsafe", "allocUnsafeSlow", "concat", "from"]) {
  countBytes(Buffer, name);
}
countBytes(Object.getPrototypeOf(Uint8Array.prototype), "slice");

new PerformanceObserver((list) => {
  for (const { detail } of list.getEntries())
    if (detail.kind === majorKind) counts.fullCollections += 1;
}).observe({ entryTypes: ["gc"] });
const majorKind = 4;

process.on("SIGUSR2", () => {
  const { fullCollections } = counts;
  const turns = performance.nodeTiming.uvMetricsInfo.loopCount;
  collect();
  const { heapUsed: heapBytes, external: outsideBytes } = process.memoryUsage();
  const report = { ...counts, fullCollections, turns, heapBytes, outsideBytes };
  const file = `counts.${process.pid}.json`;
  writeFileSync(`${file}.part`, JSON.stringify(report));
  renameSync(`${file}.part`, file);
});
