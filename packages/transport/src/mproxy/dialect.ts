import { WindowCredit } from "./credit-window.ts";
import { PauseCredit } from "./credit-pause.ts";
import type { Credit } from "./credit.ts";
import { CulvertIds } from "./dialect-culvert-ids.ts";
import type { ConnectionIds } from "./dialect-ids.ts";
import { TelebitIds } from "./dialect-telebit-ids.ts";
import type { TunnelDialect, TunnelSettings } from "./tunnel-api.ts";

/** What an `end` means. */
export interface EndRules {
  /** After the peer's `end` we may go on sending. */
  readonly repliesAfterEnd: boolean;
  /** There is half-close; without, a half-ended connection must make progress. */
  readonly halfClose: boolean;
}

/** An `end` is for both directions: who said it takes nothing more, and who hears it has what came before. */
export const endsBoth: EndRules = { repliesAfterEnd: false, halfClose: false };

/** Where the two kinds of tunnel differ. */
export interface DialectRules extends EndRules {
  /** Both ends are ours: the tunnel answers pings and says why it closes. */
  readonly ours: boolean;
  readonly ids: ConnectionIds;
  /** The credit of a new connection; `sendWindowBytes` is what the peer allows. */
  credit(sendWindowBytes: number): Credit;
}

/** The rules of a dialect, for one tunnel. */
export function dialectRules(dialect: TunnelDialect, settings: TunnelSettings): DialectRules {
  switch (dialect) {
    case "culvert-dialler":
    case "culvert-listener":
      return {
        ours: true,
        repliesAfterEnd: true,
        halfClose: true,
        ids: new CulvertIds(dialect === "culvert-dialler"),
        credit: (send) => new WindowCredit({ send, receive: settings.windowBytes }),
      };
    case "telebit-relay":
      return {
        ours: false,
        // The device has forgotten the connection, and would take more bytes for a new one.
        ...endsBoth,
        ids: new TelebitIds("relay"),
        credit: () => new PauseCredit(settings),
      };
    case "telebit-device":
      return {
        ours: false,
        repliesAfterEnd: true,
        halfClose: false,
        ids: new TelebitIds("device"),
        credit: () => new PauseCredit(settings),
      };
  }
}
