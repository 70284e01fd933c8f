import { MproxySession, type Session, type TunnelDropReason } from "@culvert/transport";

/** Adds up what sessions over M-PROXY tunnels threw away, those that are over included. */
export class TunnelDrops {
  readonly #live = new Set<MproxySession>();
  readonly #ended = none();

  /** Counts a session in, if it is one of those. */
  watch(session: Session): void {
    if (!(session instanceof MproxySession)) return;
    this.#live.add(session);
    void session.closed.then(() => {
      this.#live.delete(session);
      add(this.#ended, session);
    });
  }

  /** Since the start, by reason. */
  total(): Readonly<Record<TunnelDropReason, number>> {
    const sum = { ...this.#ended };
    for (const session of this.#live) add(sum, session);
    return sum;
  }
}

function add(sum: Record<TunnelDropReason, number>, session: MproxySession): void {
  const { drops } = session.tunnelStats();
  for (const reason of Object.keys(sum) as TunnelDropReason[]) sum[reason] += drops[reason];
}

function none(): Record<TunnelDropReason, number> {
  return {
    late_frame: 0,
    unknown_connection: 0,
    too_many_streams: 0,
    window_exceeded: 0,
    reader_gone: 0,
  };
}
