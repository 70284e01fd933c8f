import { millis, type Millis } from "@culvert/runtime";
import { expect, test } from "vitest";
import { silentLog, type Log, type LogFields } from "./log.ts";
import { rateLimited } from "./rate-limited-log.ts";

test("warnings beyond the burst are counted and the count is told with the next one", () => {
  const seen: [string, LogFields | undefined][] = [];
  const recording: Log = {
    ...silentLog,
    warn: (event, fields) => void seen.push([event, fields]),
    child: () => recording,
  };
  let nowMs: Millis = millis(0);
  const limit = { burst: 2, interval: millis(1_000) };
  const log = rateLimited(recording, { now: () => nowMs }, limit);
  for (let i = 0; i < 10; i += 1) log.warn("relay.tip.refused", { i });
  log.warn("relay.session.refused");
  log.child({}).warn("relay.tip.refused", { i: 10 });
  expect(seen).toEqual([
    ["relay.tip.refused", { i: 0 }],
    ["relay.tip.refused", { i: 1 }],
    ["relay.session.refused", {}],
  ]);
  nowMs = millis(1_000);
  log.warn("relay.tip.refused", { i: 11 });
  expect(seen.at(-1)).toEqual(["relay.tip.refused", { i: 11, suppressed: 9 }]);
});
