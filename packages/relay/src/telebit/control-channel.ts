import { millis, type Millis } from "@culvert/runtime";
import type { ControlMessage } from "@culvert/wire";
import type { TelebitFault, TelebitFaultCode, TelebitScope } from "./telebit-scope.ts";
import type { TokenVerdict } from "./token-verifier.ts";

/** Bounds and deadlines of one device's control channel. */
export interface ControlLimits {
  /** How long a device may be without a good token. */
  readonly authDeadline: Millis;
  /** Within this a command is answered, or has failed. */
  readonly commandTimeout: Millis;
  /** Tokens a device may hold. */
  readonly tokens: number;
  /** Commands of a device that may wait for their answers. */
  readonly pending: number;
  /** Messages a device may send that lead to nothing, bad tokens among them, before it is closed. */
  readonly nonsense: number;
}

/** What is to be done after an input, in this order. */
export type ControlEffect =
  | { readonly kind: "send"; readonly message: ControlMessage }
  /** Judge the token and tell {@link ControlChannel.handleVerdict}. */
  | { readonly kind: "verify"; readonly ref: number; readonly token: string }
  /** Enter the scope into the tables, all of it or nothing, and tell {@link ControlChannel.handleApplied}. */
  | { readonly kind: "apply"; readonly ref: number; readonly scope: TelebitScope }
  /** Take back what was or will be applied under this number. */
  | { readonly kind: "revoke"; readonly ref: number }
  | { readonly kind: "close"; readonly code: string; readonly text: string };

/** What a control channel is made from. */
export interface ControlOptions {
  readonly limits: ControlLimits;
  /** The host that a grant names for TCP ports. */
  readonly portHost: string;
  /** By what a token is known afterwards: tokens themselves are not kept. */
  readonly digest: (token: string) => string;
}

/**
 * The relay's end of the control channel of one device, without I/O: messages, verdicts and time go in, effects come out
 * (PROTOCOL.md §13.2).
 */
export class ControlChannel {
  readonly #options: ControlOptions;
  readonly #limits: ControlLimits;
  /** Commands that wait for a verdict or for the tables. */
  readonly #pending = new Map<number, PendingToken>();
  /** Tokens in force, by the number of the grant. */
  readonly #held = new Map<number, HeldToken>();
  #authBy: number;
  #helloSent = false;
  /** When the answer to hello is overdue; undefined once it came or was given up. */
  #helloBy: number | undefined;
  #helloUnanswered = false;
  #nextRef = 1;
  #nonsense = 0;
  #closed = false;

  constructor(options: ControlOptions, now: Millis) {
    this.#options = options;
    this.#limits = options.limits;
    this.#authBy = now + options.limits.authDeadline;
  }

  /** Whether a good token is in force. */
  get authorised(): boolean {
    return this.#held.size > 0;
  }

  /** Whether the device let the time-out for the answer to hello pass. Says nothing of whether it can serve: some never answer. */
  get helloUnanswered(): boolean {
    return this.#helloUnanswered;
  }

  /** When {@link handleTimer} is to be called at the latest; undefined = never. */
  get wakeAt(): Millis | undefined {
    if (this.#closed) return undefined;
    const times = [...this.#pending.values()].map(({ dueAt }) => dueAt);
    for (const { expiresAt } of this.#held.values()) times.push(expiresAt);
    if (this.#strange) times.push(this.#authBy);
    if (this.#helloBy !== undefined) times.push(this.#helloBy);
    const next = Math.min(...times);
    return Number.isFinite(next) ? millis(next) : undefined;
  }

  /** Begins. A token the device came with is judged before hello, so that its grant comes first, as the real relay does it. */
  start(now: Millis, token: string | undefined): ControlEffect[] {
    if (token === undefined) return this.#hello(now);
    return this.#verify(now, undefined, token, false);
  }

  /** A message of the device. */
  handleMessage(now: Millis, message: ControlMessage): ControlEffect[] {
    return this.#closed ? [] : upToClose(this.#hear(now, message));
  }

  /** What a token is worth. `wallNowMs` and `now` are the same moment. */
  handleVerdict(
    now: Millis,
    wallNowMs: number,
    ref: number,
    verdict: TokenVerdict,
  ): ControlEffect[] {
    const pending = this.#pending.get(ref);
    if (pending === undefined || this.#closed) return [];
    if (verdict.kind === "refused") return this.#refuse(ref, pending, verdict.fault);
    const { scope, expiresAtMs } = verdict;
    pending.expiresAt = expiresAtMs === undefined ? Infinity : now + expiresAtMs - wallNowMs;
    pending.scope = scope;
    // The same token again is answered again, and changes nothing.
    if (this.#refOf(pending.digest) !== undefined) return this.#grant(now, ref, pending);
    const applying = [...this.#pending.values()].filter((each) => each.applying);
    if (this.#held.size + applying.length >= this.#limits.tokens) {
      const text = `a device may hold ${this.#limits.tokens} tokens`;
      return this.#refuse(ref, pending, faultOf("E_LIMIT", text));
    }
    pending.applying = true;
    return [{ kind: "apply", ref, scope }];
  }

  /** Whether the tables took a scope; `fault` where they did not. */
  handleApplied(now: Millis, ref: number, fault: TelebitFault | undefined): ControlEffect[] {
    const pending = this.#pending.get(ref);
    if (pending === undefined || this.#closed) return [];
    if (fault !== undefined) return this.#refuse(ref, pending, fault);
    this.#held.set(ref, {
      digest: pending.digest,
      scope: pending.scope,
      expiresAt: pending.expiresAt,
    });
    return this.#grant(now, ref, pending);
  }

  /** Time has passed. */
  handleTimer(now: Millis): ControlEffect[] {
    return this.#closed ? [] : upToClose(this.#expire(now));
  }

  #expire(now: Millis): ControlEffect[] {
    const effects: ControlEffect[] = [];
    if (this.#helloBy !== undefined && now >= this.#helloBy) {
      this.#helloBy = undefined;
      this.#helloUnanswered = true;
    }
    for (const [ref, pending] of [...this.#pending]) {
      if (now < pending.dueAt) continue;
      if (pending.applying) effects.push({ kind: "revoke", ref });
      effects.push(...this.#refuse(ref, pending, faultOf("E_TIMEOUT", "no verdict in time")));
    }
    for (const [ref, { expiresAt, scope }] of [...this.#held]) {
      if (now < expiresAt) continue;
      const text = `the token for ${describeScope(scope)} has expired`;
      effects.push(notice(faultOf("E_INVALID_TOKEN", text)), ...this.#release(now, ref));
    }
    if (this.#strange && now >= this.#authBy) {
      const text = "no good token in time";
      effects.push(notice(faultOf("E_TIMEOUT", text)), ...this.#close("unauthorised", text));
    }
    return effects;
  }

  #hear(now: Millis, message: ControlMessage): ControlEffect[] {
    switch (message.type) {
      case "command":
        return this.#handleCommand(now, message.id, message.command, message.args);
      case "answer":
        return this.#handleAnswer(message.id, message.error);
      case "notice":
        return this.#countNonsense();
    }
  }

  /** Without a token, and none is being looked at. */
  get #strange(): boolean {
    return !this.authorised && this.#pending.size === 0;
  }

  #handleAnswer(id: number, error: unknown): ControlEffect[] {
    if (id === helloId && this.#helloSent) {
      this.#helloBy = undefined;
      return error === null ? [] : this.#close("refused", "the device refuses our hello");
    }
    // The real client does not answer these; others may.
    return id === grantId || id === accessTokenId ? [] : this.#countNonsense();
  }

  #handleCommand(
    now: Millis,
    id: number,
    command: string,
    args: readonly unknown[],
  ): ControlEffect[] {
    if (command === "delete_token") return this.#deleteToken(now, id, args[0]);
    if (!isTokenCommand(command)) {
      const shown = JSON.stringify(command.slice(0, shownCharacters));
      const fault = faultOf("E_UNKNOWN_COMMAND", `unknown command ${shown}`);
      return [answer(id, fault), ...this.#countNonsense()];
    }
    const [token] = args;
    if (typeof token !== "string") {
      // Pairing by e-mail sends an object here.
      const text = `${command} takes a token; whoever runs this relay can make one`;
      return [answer(id, faultOf("E_INVALID_TOKEN", text)), ...this.#countNonsense()];
    }
    return this.#verify(now, id, token, command !== "add_token");
  }

  #verify(
    now: Millis,
    id: number | undefined,
    token: string,
    sayTokenBack: boolean,
  ): ControlEffect[] {
    const { commandTimeout, pending } = this.#limits;
    if (this.#pending.size >= pending && id !== undefined) {
      const text = `${pending} commands wait for their answers already`;
      return [answer(id, faultOf("E_LIMIT", text)), ...this.#countNonsense()];
    }
    const digest = this.#options.digest(token);
    if ([...this.#pending.values()].some((each) => each.digest === digest) && id !== undefined) {
      const fault = faultOf("E_LIMIT", "that token is being looked at already");
      return [answer(id, fault), ...this.#countNonsense()];
    }
    const ref = this.#nextRef++;
    this.#pending.set(ref, {
      id,
      digest,
      sayBack: sayTokenBack ? token : undefined,
      dueAt: now + commandTimeout,
      scope: nothing,
      expiresAt: Infinity,
      applying: false,
    });
    return [{ kind: "verify", ref, token }];
  }

  #grant(now: Millis, ref: number, pending: PendingToken): ControlEffect[] {
    this.#pending.delete(ref);
    const effects: ControlEffect[] = [send(grantOf(pending.scope, this.#options.portHost))];
    if (pending.sayBack !== undefined) {
      const args = [{ jwt: pending.sayBack }];
      effects.push(send({ type: "command", id: accessTokenId, command: "access_token", args }));
    }
    if (pending.id !== undefined) effects.push(answer(pending.id, null));
    else effects.push(...this.#hello(now));
    return effects;
  }

  #refuse(ref: number, { id }: PendingToken, fault: TelebitFault): ControlEffect[] {
    this.#pending.delete(ref);
    if (id !== undefined) return [answer(id, fault), ...this.#countNonsense()];
    return [notice(fault), ...this.#close("unauthorised", fault.message)];
  }

  #deleteToken(now: Millis, id: number, token: unknown): ControlEffect[] {
    if (token === "*") {
      // Those still waiting are given up too, or they would come into force after all were deleted.
      const effects = [...this.#pending].flatMap(([ref, pending]): ControlEffect[] => [
        ...(pending.applying ? [{ kind: "revoke" as const, ref }] : []),
        ...this.#refuse(ref, pending, faultOf("E_INVALID_TOKEN", "all tokens were deleted")),
      ]);
      effects.push(...[...this.#held.keys()].flatMap((ref) => this.#release(now, ref)));
      return [...effects, answer(id, null)];
    }
    const ref = typeof token === "string" ? this.#refOf(this.#options.digest(token)) : undefined;
    if (ref !== undefined) return [...this.#release(now, ref), answer(id, null)];
    const fault = faultOf("E_INVALID_TOKEN", "the device does not hold that token");
    return [answer(id, fault), ...this.#countNonsense()];
  }

  /** A device that gave its last token back has as long as a new one to bring another. */
  #release(now: Millis, ref: number): ControlEffect[] {
    this.#held.delete(ref);
    if (!this.authorised) this.#authBy = now + this.#limits.authDeadline;
    return [{ kind: "revoke", ref }];
  }

  #hello(now: Millis): ControlEffect[] {
    this.#helloSent = true;
    this.#helloBy = now + this.#limits.commandTimeout;
    const args = [[1], ["add_token", "delete_token", "auth", "authn", "authz"]];
    return [send({ type: "command", id: helloId, command: "hello", args })];
  }

  #countNonsense(): ControlEffect[] {
    this.#nonsense += 1;
    if (this.#nonsense <= this.#limits.nonsense) return [];
    return this.#close("nonsense", `${this.#nonsense} messages that lead to nothing`);
  }

  #close(code: string, text: string): ControlEffect[] {
    this.#closed = true;
    return [{ kind: "close", code, text }];
  }

  #refOf(digest: string): number | undefined {
    for (const [ref, held] of this.#held) if (held.digest === digest) return ref;
    return undefined;
  }
}

interface PendingToken {
  /** Of the command to answer; undefined for a token the device came with. */
  readonly id: number | undefined;
  readonly digest: string;
  readonly sayBack: string | undefined;
  readonly dueAt: number;
  /** Of what follows: known once the token was found good. */
  scope: TelebitScope;
  expiresAt: number;
  applying: boolean;
}

interface HeldToken {
  readonly digest: string;
  readonly scope: TelebitScope;
  readonly expiresAt: number;
}

/** What the device may tell its user. Real clients read the fields by their place; a port stands in a list. */
function grantOf({ domains, ports }: TelebitScope, host: string): ControlMessage {
  const entries: unknown[] = [];
  for (const domain of domains) entries.push(["ssh+https", domain, 443]);
  for (const port of ports) entries.push(["ssh", host, [port]], ["tcp", host, [port]]);
  for (const domain of domains) entries.push(["https", domain]);
  return { type: "command", id: grantId, command: "grant", args: [entries] };
}

/** What follows a close would not be sent any more. */
function upToClose(effects: ControlEffect[]): ControlEffect[] {
  const end = effects.findIndex(({ kind }) => kind === "close");
  return end < 0 ? effects : effects.slice(0, end + 1);
}

function isTokenCommand(command: string): boolean {
  return (tokenCommands as readonly string[]).includes(command);
}

function describeScope({ domains, ports }: TelebitScope): string {
  const [first = ""] = [...domains, ...ports].map(String);
  const more = domains.length + ports.length - 1;
  return more > 0 ? `${first} and ${more} more` : first;
}

function faultOf(code: TelebitFaultCode, message: string): TelebitFault {
  return { message, code };
}

function send(message: ControlMessage): ControlEffect {
  return { kind: "send", message };
}

function answer(id: number, error: TelebitFault | null): ControlEffect {
  return send({ type: "answer", id, error, results: [] });
}

function notice(error: TelebitFault): ControlEffect {
  return send({ type: "notice", error });
}

const tokenCommands = ["add_token", "auth", "authn", "authz"] as const;
const nothing: TelebitScope = { domains: [], ports: [] };
/** The numbers of the real relay's commands. */
const helloId = 1;
const grantId = 2;
const accessTokenId = 3;
const shownCharacters = 32;
