import { BoundedQueue } from "@culvert/runtime";
import { shutdownReason } from "../quic-listen.ts";
import type { Session } from "../session.ts";
import {
  CommandLink,
  type CommandLinkDeps,
  type CommandLinkOptions,
  type CommandLinkStatus,
} from "./command-link.ts";

/** The commands of a daemon that lead to peers, each kept running; what arrives over them is like what was dialled in. */
export class CommandLinks {
  readonly #links: readonly CommandLink[];
  readonly #sessions: BoundedQueue<Session>;

  constructor(deps: CommandLinkDeps, links: readonly CommandLinkOptions[]) {
    // One session each, and those before it are over.
    this.#sessions = new BoundedQueue(Math.max(1, 2 * links.length));
    this.#links = links.map(
      (link) => new CommandLink(deps, link, (session) => this.#hand(session)),
    );
  }

  /** Authenticated sessions, in order; one consumer, who owns each. Ends when the links close. */
  get sessions(): AsyncIterable<Session> {
    return this.#sessions;
  }

  /** Starts every command; returns at once. */
  start(): void {
    for (const link of this.#links) link.start();
  }

  /** Starts nothing any more; what is up goes on. */
  drain(): void {
    for (const link of this.#links) link.drain();
  }

  status(): readonly CommandLinkStatus[] {
    return this.#links.map((link) => link.status());
  }

  /** Ends every command and what it has started. */
  async close(): Promise<void> {
    for (const untaken of this.#sessions.drain()) untaken.close(shutdownReason);
    await Promise.all(this.#links.map((link) => link.close()));
  }

  #hand(session: Session): void {
    if (this.#sessions.push(session)) return;
    session.close({ by: "us", code: "queue_full", text: "nobody takes the sessions of links" });
  }
}
