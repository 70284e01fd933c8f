import type { PeerId, Identity } from "@culvert/identity";
import type { WssSettings } from "@culvert/config";
import { millis, TransportError, type Clock, type Random } from "@culvert/runtime";
import { dialNorouter, StreamCarrier } from "@culvert/transport";
import type { GivenSession } from "../daemon/daemon.ts";
import type { StandardEnds } from "./standard-ends.ts";

/** As whom, and with whom, a session over standard input and output is made. */
export interface StdioSessionOptions {
  readonly ends: StandardEnds;
  readonly identity: Identity;
  readonly relayId: PeerId;
  readonly settings: WssSettings;
}

/** The one session that standard input and output can carry: when it ends, or cannot be made, all is over. */
export function stdioSession(
  deps: { readonly clock: Clock; readonly random: Random },
  { ends, identity, relayId, settings }: StdioSessionOptions,
): GivenSession {
  let finish: () => void;
  const over = new Promise<void>((resolve) => (finish = resolve));
  let taken = false;
  return {
    from: "standard input",
    over,
    async dial(signal) {
      if (taken) throw new TransportError("no_session", "standard input has had its session");
      taken = true;
      try {
        const carrier = new StreamCarrier(ends, {
          clock: deps.clock,
          kind: "stdio",
          remote: "standard input",
        });
        const session = await dialNorouter(deps, { carrier, identity, relayId, settings, signal });
        void session.closed.then(finish);
        return session;
      } catch (error) {
        // After whoever dialled has told why.
        deps.clock.setTimer(lastWords, finish);
        throw error;
      }
    },
  };
}

const lastWords = millis(50);
