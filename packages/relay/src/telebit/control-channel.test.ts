import { millis } from "@culvert/runtime";
import type { ControlMessage } from "@culvert/wire";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ControlChannel, type ControlEffect, type ControlLimits } from "./control-channel.ts";
import type { TelebitScope } from "./telebit-scope.ts";
import type { TokenVerdict } from "./token-verifier.ts";

const limits: ControlLimits = {
  authDeadline: millis(10_000),
  commandTimeout: millis(10_000),
  tokens: 3,
  pending: 4,
  nonsense: 5,
};
const scope: TelebitScope = { domains: ["a.t.example.com"], ports: [20_000] };
const good: TokenVerdict = { kind: "good", scope, expiresAtMs: undefined, issuer: "secret" };
const bad: TokenVerdict = {
  kind: "refused",
  fault: { code: "E_INVALID_TOKEN", message: "the token has expired" },
};
const hello: ControlEffect = {
  kind: "send",
  message: {
    type: "command",
    id: 1,
    command: "hello",
    args: [[1], ["add_token", "delete_token", "auth", "authn", "authz"]],
  },
};
const grant: ControlEffect = {
  kind: "send",
  message: {
    type: "command",
    id: 2,
    command: "grant",
    args: [
      [
        ["ssh+https", "a.t.example.com", 443],
        ["ssh", "relay.example.com", [20_000]],
        ["tcp", "relay.example.com", [20_000]],
        ["https", "a.t.example.com"],
      ],
    ],
  },
};

/** A channel whose tokens are their own digests, and the time it is in. */
class Bench {
  nowMs = 0;
  readonly channel = new ControlChannel(
    { limits, portHost: "relay.example.com", digest: (token) => token },
    millis(0),
  );

  command(id: number, command: string, ...args: unknown[]): ControlEffect[] {
    return this.message({ type: "command", id, command, args });
  }

  message(message: ControlMessage): ControlEffect[] {
    return this.channel.handleMessage(millis(this.nowMs), message);
  }

  verdict(ref: number, verdict: TokenVerdict): ControlEffect[] {
    return this.channel.handleVerdict(millis(this.nowMs), 1_000_000 + this.nowMs, ref, verdict);
  }

  applied(ref: number, fault?: Parameters<ControlChannel["handleApplied"]>[2]): ControlEffect[] {
    return this.channel.handleApplied(millis(this.nowMs), ref, fault);
  }

  /** Goes to the channel's next deadline. */
  wake(): ControlEffect[] {
    const { wakeAt } = this.channel;
    if (wakeAt === undefined) throw new Error("nothing is due");
    this.nowMs = wakeAt;
    return this.channel.handleTimer(wakeAt);
  }

  start(token?: string): ControlEffect[] {
    return this.channel.start(millis(this.nowMs), token);
  }

  /** A device that holds one token, under grant 1. */
  authorised(): this {
    this.start();
    this.message({ type: "answer", id: 1, error: null, results: [] });
    this.command(9, "add_token", "T");
    this.verdict(1, good);
    this.applied(1);
    return this;
  }
}

function answer(id: number, error: unknown = null): ControlEffect {
  return { kind: "send", message: { type: "answer", id, error, results: [] } };
}

function fault(code: string): unknown {
  return expect.objectContaining({ code, message: expect.any(String) as unknown }) as unknown;
}

describe("a device that sends a token after hello", () => {
  it("gets its grant, then the answer", () => {
    const bench = new Bench();
    expect(bench.start()).toEqual([hello]);
    expect(bench.command(241_896_672, "add_token", "T")).toEqual([
      { kind: "verify", ref: 1, token: "T" },
    ]);
    expect(bench.message({ type: "answer", id: 1, error: null, results: [] })).toEqual([]);
    expect(bench.channel.authorised).toBe(false);
    expect(bench.verdict(1, good)).toEqual([{ kind: "apply", ref: 1, scope }]);
    expect(bench.applied(1)).toEqual([grant, answer(241_896_672)]);
    expect(bench.channel.authorised).toBe(true);
    expect(bench.channel.wakeAt).toBeUndefined();
  });

  it.each(["auth", "authn", "authz"])("is told by %s which token to keep", (command) => {
    const bench = new Bench();
    bench.start();
    bench.command(5, command, "T");
    bench.verdict(1, good);
    const args = [{ jwt: "T" }];
    expect(bench.applied(1)).toEqual([
      grant,
      { kind: "send", message: { type: "command", id: 3, command: "access_token", args } },
      answer(5),
    ]);
  });

  it("is answered with the reason where the token or the tables refuse", () => {
    const bench = new Bench();
    bench.start();
    bench.command(5, "add_token", "T");
    expect(bench.verdict(1, bad)).toEqual([answer(5, fault("E_INVALID_TOKEN"))]);
    bench.command(6, "add_token", "T");
    bench.verdict(2, good);
    const taken = { code: "E_PORT_TAKEN", message: "20000 is another device's" } as const;
    expect(bench.applied(2, taken)).toEqual([answer(6, taken)]);
    expect(bench.channel.authorised).toBe(false);
  });

  it("may send it again, which grants nothing twice", () => {
    const bench = new Bench().authorised();
    bench.command(10, "add_token", "T");
    expect(bench.verdict(2, good)).toEqual([grant, answer(10)]);
    expect(bench.command(11, "delete_token", "T")).toEqual([
      { kind: "revoke", ref: 1 },
      answer(11),
    ]);
  });

  it("gets no second look at a token that is being looked at", () => {
    const bench = new Bench();
    bench.start();
    bench.command(5, "add_token", "T");
    expect(bench.command(6, "add_token", "T")).toEqual([answer(6, fault("E_LIMIT"))]);
  });

  it("is told that pairing by e-mail is not to be had", () => {
    const bench = new Bench();
    bench.start();
    const pairing = { subject: "me@example.com", subject_scheme: "mailto" };
    expect(bench.command(5, "auth", pairing)).toEqual([answer(5, fault("E_INVALID_TOKEN"))]);
  });
});

describe("a device that comes with a token", () => {
  it("gets its grant before hello", () => {
    const bench = new Bench();
    expect(bench.start("T")).toEqual([{ kind: "verify", ref: 1, token: "T" }]);
    expect(bench.verdict(1, good)).toEqual([{ kind: "apply", ref: 1, scope }]);
    expect(bench.applied(1)).toEqual([grant, hello]);
  });

  it("is told why and closed where the token is bad", () => {
    const bench = new Bench();
    bench.start("T");
    expect(bench.verdict(1, bad)).toEqual([
      { kind: "send", message: { type: "notice", error: fault("E_INVALID_TOKEN") } },
      { kind: "close", code: "unauthorised", text: "the token has expired" },
    ]);
    expect(bench.channel.wakeAt).toBeUndefined();
  });
});

describe("delete_token", () => {
  it("takes the grant back, and a new token is awaited no longer than the first", () => {
    const bench = new Bench().authorised();
    bench.nowMs = 3_600_000;
    expect(bench.command(11, "delete_token", "T")).toEqual([
      { kind: "revoke", ref: 1 },
      answer(11),
    ]);
    expect(bench.channel.authorised).toBe(false);
    expect(bench.channel.wakeAt).toBe(3_610_000);
    expect(bench.wake().at(-1)).toMatchObject({ kind: "close", code: "unauthorised" });
  });

  it("takes all back with a star, those still looked at as well", () => {
    const bench = new Bench().authorised();
    bench.command(10, "add_token", "U");
    bench.verdict(2, good);
    bench.command(11, "add_token", "V");
    expect(bench.command(12, "delete_token", "*")).toEqual([
      { kind: "revoke", ref: 2 },
      answer(10, fault("E_INVALID_TOKEN")),
      answer(11, fault("E_INVALID_TOKEN")),
      { kind: "revoke", ref: 1 },
      answer(12),
    ]);
    expect(bench.applied(2)).toEqual([]);
    expect(bench.verdict(3, good)).toEqual([]);
  });

  it.each(["U", 5, null, undefined, { jwt: "T" }])("does not know %j", (token) => {
    const bench = new Bench().authorised();
    expect(bench.command(11, "delete_token", token)).toEqual([
      answer(11, fault("E_INVALID_TOKEN")),
    ]);
    expect(bench.channel.authorised).toBe(true);
  });
});

describe("time", () => {
  it("closes a device without a token", () => {
    const bench = new Bench();
    bench.start();
    bench.message({ type: "answer", id: 1, error: null, results: [] });
    expect(bench.wake()).toEqual([
      { kind: "send", message: { type: "notice", error: fault("E_TIMEOUT") } },
      { kind: "close", code: "unauthorised", text: "no good token in time" },
    ]);
    expect(bench.nowMs).toBe(10_000);
  });

  it("answers a command whose verdict does not come, and drops the late one", () => {
    const bench = new Bench().authorised();
    bench.nowMs = 20_000;
    bench.command(5, "add_token", "U");
    bench.verdict(2, good);
    expect(bench.wake()).toEqual([{ kind: "revoke", ref: 2 }, answer(5, fault("E_TIMEOUT"))]);
    expect(bench.nowMs).toBe(30_000);
    expect(bench.applied(2)).toEqual([]);
  });

  it("ends a token when it ends, not the others", () => {
    const bench = new Bench().authorised();
    bench.command(5, "add_token", "U");
    bench.verdict(2, { ...good, expiresAtMs: 1_000_000 + 60_000 });
    bench.applied(2);
    expect(bench.channel.wakeAt).toBe(60_000);
    expect(bench.wake()).toEqual([
      { kind: "send", message: { type: "notice", error: fault("E_INVALID_TOKEN") } },
      { kind: "revoke", ref: 2 },
    ]);
    expect(bench.channel.authorised).toBe(true);
  });

  it("forgives that hello is never answered", () => {
    const bench = new Bench();
    bench.start();
    bench.command(9, "add_token", "T");
    bench.verdict(1, good);
    bench.applied(1);
    expect(bench.wake()).toEqual([]);
    expect(bench.channel.helloUnanswered).toBe(true);
    expect(bench.channel.wakeAt).toBeUndefined();
  });
});

describe("limits", () => {
  it("bound tokens, and commands under way", () => {
    const bench = new Bench().authorised();
    for (let i = 0; i < 4; i += 1) bench.command(20 + i, "add_token", `U${i}`);
    expect(bench.command(30, "add_token", "V")).toEqual([answer(30, fault("E_LIMIT"))]);
    bench.verdict(2, good);
    bench.verdict(3, good);
    expect(bench.verdict(4, good)).toEqual([answer(22, fault("E_LIMIT"))]);
  });

  it("bound what leads to nothing", () => {
    const bench = new Bench().authorised();
    const nonsense = (): ControlEffect[] => bench.command(7, "frobnicate");
    for (let i = 0; i < 5; i += 1) {
      expect(nonsense()).toEqual([answer(7, fault("E_UNKNOWN_COMMAND"))]);
    }
    expect(nonsense().at(-1)).toMatchObject({ kind: "close", code: "nonsense" });
    expect(nonsense()).toEqual([]);
  });

  it("know commands by name only, not by what every object has", () => {
    const bench = new Bench().authorised();
    for (const name of ["constructor", "__proto__", "toString"]) {
      expect(bench.command(7, name, "T")).toEqual([answer(7, fault("E_UNKNOWN_COMMAND"))]);
    }
  });

  it("hold whatever comes in whatever order", () => {
    const token = fc.constantFrom("T", "U", "V", "W", "*", undefined);
    const step = fc.oneof(
      fc.record({
        what: fc.constant("command" as const),
        name: fc.constantFrom("add_token", "auth", "delete_token", "x"),
        token,
      }),
      fc.record({ what: fc.constant("verdict" as const), ref: fc.nat(12), good: fc.boolean() }),
      fc.record({ what: fc.constant("applied" as const), ref: fc.nat(12), good: fc.boolean() }),
      fc.record({ what: fc.constant("time" as const), ms: fc.nat(12_000) }),
      fc.record({ what: fc.constant("answer" as const), id: fc.nat(4) }),
    );
    fc.assert(
      fc.property(fc.option(token), fc.array(step, { maxLength: 60 }), (first, steps) => {
        const bench = new Bench();
        const applied = new Set<number>();
        const asked = new Set<number>();
        const state = { closed: false };
        let id = 10;
        const owed = new Set<number>();
        const take = (effects: ControlEffect[]): void => {
          for (const effect of effects) {
            expect(state.closed).toBe(false);
            if (effect.kind === "close") state.closed = true;
            if (effect.kind === "apply") asked.add(effect.ref);
            if (effect.kind === "revoke") {
              // Whatever is taken back was asked for before, once.
              expect(asked.delete(effect.ref)).toBe(true);
              applied.delete(effect.ref);
            }
            if (effect.kind === "send" && effect.message.type === "answer") {
              expect(owed.delete(effect.message.id)).toBe(true);
            }
          }
        };
        take(bench.start(first ?? undefined));
        for (const each of steps) {
          if (each.what === "command") {
            id += 1;
            if (!state.closed) owed.add(id);
            take(bench.command(id, each.name, each.token));
          } else if (each.what === "verdict") take(bench.verdict(each.ref, each.good ? good : bad));
          else if (each.what === "applied") {
            if (!asked.has(each.ref) || applied.has(each.ref)) continue;
            if (each.good) applied.add(each.ref);
            else asked.delete(each.ref);
            const taken = { code: "E_PORT_TAKEN", message: "" } as const;
            take(bench.applied(each.ref, each.good ? undefined : taken));
          } else if (each.what === "answer") {
            take(bench.message({ type: "answer", id: each.id, error: null, results: [] }));
          } else {
            bench.nowMs += each.ms;
            take(bench.channel.handleTimer(millis(bench.nowMs)));
          }
          if (!state.closed) expect(bench.channel.authorised).toBe(applied.size > 0);
          expect(applied.size).toBeLessThanOrEqual(limits.tokens);
        }
        // Every command is answered in the end.
        bench.nowMs += 10_000;
        take(bench.channel.handleTimer(millis(bench.nowMs)));
        if (!state.closed) expect([...owed]).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
  });
});
