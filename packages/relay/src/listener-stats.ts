import type { SessionListener } from "@culvert/transport";

type Stats = ReturnType<SessionListener["stats"]>;

/** Adds up the counters of several listeners. */
export function sumListenerStats(all: readonly Stats[]): Stats {
  const drops = {
    malformed: 0,
    unknown_connection: 0,
    bad_token: 0,
    half_open_limit: 0,
    rate_limit: 0,
    queue_full: 0,
  };
  const sum = {
    handshakesStarted: 0,
    handshakesCompleted: 0,
    handshakesFailed: 0,
    halfOpen: 0,
    retriesSent: 0,
  };
  for (const stats of all) {
    for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += stats[key];
    for (const key of Object.keys(drops) as (keyof typeof drops)[]) drops[key] += stats.drops[key];
  }
  return { ...sum, drops };
}
