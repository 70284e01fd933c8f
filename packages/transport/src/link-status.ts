import type { Millis } from "@culvert/runtime";
import type { SessionStats } from "./session.ts";
import type { LinkState } from "./relay-link.ts";

/** A link as `culvert status` shows it; plain JSON. */
export interface LinkStatus {
  readonly state: LinkState["kind"];
  readonly lastError?: string;
  /** Present while attached. */
  readonly session?: SessionStats & {
    readonly remote: string;
    readonly transport: string;
    /** The name the relay knows us by. */
    readonly name: string;
    readonly relaySoftware: string;
    readonly ageMs: number;
  };
  /** Present after a move: sessions whose connections still go on. */
  readonly leaving?: readonly { readonly transport: string; readonly openStreams: number }[];
}

/** Takes the picture of a link. */
export function linkStatus(state: LinkState, now: Millis): LinkStatus {
  switch (state.kind) {
    case "attached": {
      const { session, answer, since, leaving } = state;
      return {
        state: state.kind,
        session: {
          remote: session.remote,
          transport: session.transport,
          name: answer.name,
          relaySoftware: answer.software,
          ageMs: Math.round(now - since),
          ...session.stats(),
        },
        ...(leaving.length === 0
          ? {}
          : {
              leaving: leaving.map((old) => ({
                transport: old.transport,
                openStreams: old.stats().openStreams,
              })),
            }),
      };
    }
    case "connecting":
      return state.lastError === undefined
        ? { state: state.kind }
        : { state: state.kind, lastError: state.lastError };
    case "idle":
    case "stopped":
      return { state: state.kind };
  }
}
