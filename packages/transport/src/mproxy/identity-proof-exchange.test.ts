import { generateIdentity, type Identity } from "@culvert/identity";
import { CulvertError } from "@culvert/runtime";
import type { ControlMessage } from "@culvert/wire";
import * as fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import {
  DiallerProof,
  ListenerProof,
  type DiallerProofOptions,
  type ListenerProofOptions,
  type ProofExchange,
  type ProvedPeer,
} from "./identity-proof-exchange.ts";
import { formatProof } from "./identity-proof-messages.ts";
import { signProof, type ChannelBinding, type ProofClaim } from "./identity-proof.ts";

const relay = generateIdentity();
const box = generateIdentity();
const mallory = generateIdentity();
const challenge: ChannelBinding = { kind: "challenge" };
const exporter = (fill: number): ChannelBinding => ({
  kind: "exporter",
  exporter: new Uint8Array(32).fill(fill),
});
let nonces: number;

beforeEach(() => {
  nonces = 0;
});

function nonce(): Uint8Array {
  nonces += 1;
  return new Uint8Array(32).fill(nonces);
}

function dialler(options: Partial<DiallerProofOptions> = {}): DiallerProof {
  return new DiallerProof({
    identity: box,
    relayId: relay.peerId,
    bindings: [exporter(7)],
    nonce: nonce(),
    terms: { windowBytes: 70_000, maxStreams: 7, capabilities: ["half-close"] },
    ...options,
  });
}

function listener(options: Partial<ListenerProofOptions> = {}): ListenerProof {
  return new ListenerProof({
    identity: relay,
    binding: exporter(7),
    nonce: nonce(),
    terms: { windowBytes: 80_000, maxStreams: 8, capabilities: ["half-close", "newer"] },
    ...options,
  });
}

/** What an end does, and the last thing it knows. */
interface End {
  readonly exchange: ProofExchange;
  proved?: ProvedPeer;
  readonly said: ControlMessage[];
}

/** Passes messages both ways, as JSON, until nobody says anything more; `tamper` stands in between. */
function converse(
  left: ProofExchange,
  right: ProofExchange,
  tamper: (message: ControlMessage, from: "left" | "right") => ControlMessage = (as) => as,
): { left: End; right: End } {
  const ends = {
    left: { exchange: left, said: [...left.begin()] } as End,
    right: { exchange: right, said: [...right.begin()] } as End,
  };
  const heard = { left: 0, right: 0 };
  for (;;) {
    const from = (["left", "right"] as const).find((side) => heard[side] < ends[side].said.length);
    if (from === undefined) return ends;
    const to = ends[from === "left" ? "right" : "left"];
    const message = ends[from].said[heard[from]]!;
    heard[from] += 1;
    const json = JSON.stringify(tamper(message, from));
    const step = to.exchange.receive(JSON.parse(json) as ControlMessage);
    to.said.push(...step.send);
    if (step.proved !== undefined) to.proved = step.proved;
  }
}

/** The fields of a message, some of them changed. */
function altered(message: ControlMessage, change: Record<string, unknown>): ControlMessage {
  if (message.type !== "command") return message;
  return { ...message, args: [{ ...(message.args[0] as object), ...change }] };
}

describe("the proof of identities", () => {
  test.each<[string, ChannelBinding]>([
    ["the TLS exporter", exporter(7)],
    ["a challenge", challenge],
  ])("both ends know each other, bound by %s", (_what, binding) => {
    const ends = converse(dialler({ bindings: [binding] }), listener({ binding }));
    expect(ends.left.proved).toEqual({
      id: relay.peerId,
      binding: binding.kind,
      terms: { windowBytes: 80_000, maxStreams: 8, capabilities: ["half-close", "newer"] },
    });
    expect(ends.right.proved).toEqual({
      id: box.peerId,
      binding: binding.kind,
      terms: { windowBytes: 70_000, maxStreams: 7, capabilities: ["half-close"] },
    });
  });

  test("a dialler that accepts both uses what the listener has", () => {
    for (const binding of [exporter(7), challenge]) {
      const bindings = [exporter(7), challenge];
      const { left } = converse(dialler({ bindings }), listener({ binding }));
      expect(left.proved?.binding).toBe(binding.kind);
    }
  });

  test("a wrong relay is refused before the dialler has said who it is", () => {
    const end = dialler();
    const said = [...end.begin()];
    expect(() => converse(end, listener({ identity: mallory }))).toThrow(
      expect.objectContaining({ name: "TransportError", code: "wrong_peer" }),
    );
    expect(JSON.stringify(said)).not.toContain(box.peerId);
  });

  test("a relay that names the right id without its key learns nothing of the dialler", () => {
    const said: ControlMessage[] = [];
    expect(() =>
      converse(dialler(), listener({ identity: mallory }), (message, from) => {
        if (from === "left") said.push(message);
        return from === "right" && message.type === "command" && message.id === 1
          ? altered(message, { id: relay.peerId })
          : message;
      }),
    ).toThrow(badProof);
    expect(said).toHaveLength(1);
    expect(JSON.stringify(said)).not.toContain(box.peerId);
  });

  test("two TLS connections joined by somebody in between have two exporters", () => {
    expect(() =>
      converse(dialler({ bindings: [exporter(1)] }), listener({ binding: exporter(2) })),
    ).toThrow(badProof);
  });

  test("the dialler's proof does not serve on another TLS connection", () => {
    // Somebody with a relay's key of its own kind would have to hand on a proof bound to the exporter of another connection.
    const { left } = converse(
      dialler({ bindings: [exporter(1)] }),
      listener({ binding: exporter(1) }),
    );
    const fresh = listener({ binding: exporter(2) });
    fresh.receive(left.said[0]!);
    expect(() => fresh.receive(left.said[1]!)).toThrow(badProof);
  });

  describe("downgrades", () => {
    test("a dialler that was not told of a proxy refuses a challenge", () => {
      expect(() =>
        converse(dialler(), listener({ binding: challenge }), (message, from) =>
          from === "left" ? altered(message, { bindings: ["exporter", "challenge"] }) : message,
        ),
      ).toThrow(noCommonBinding);
    });

    test("a listener behind a proxy refuses a dialler that does not know of it", () => {
      expect(() => converse(dialler(), listener({ binding: challenge }))).toThrow(noCommonBinding);
    });

    test("a listener that ends TLS itself refuses a challenge", () => {
      expect(() => converse(dialler({ bindings: [challenge] }), listener())).toThrow(
        noCommonBinding,
      );
    });

    test("a proof by challenge is none by exporter, whatever the hello is made to say", () => {
      const both = dialler({ bindings: [exporter(7), challenge] });
      expect(() =>
        converse(both, listener({ binding: challenge }), (message, from) =>
          from === "right" && message.type === "command" && message.id === 1
            ? altered(message, { binding: "exporter" })
            : message,
        ),
      ).toThrow(badProof);
    });
  });

  describe.each<[string, ChannelBinding]>([
    ["exporter", exporter(7)],
    ["challenge", challenge],
  ])("by %s", (_what, binding) => {
    const bindings = [binding];

    test("a listener's proof of an earlier session is refused", () => {
      const { right: earlier } = converse(dialler({ bindings }), listener({ binding }));
      const end = dialler({ bindings });
      end.begin();
      end.receive(earlier.said[0]!);
      expect(() => end.receive(earlier.said[1]!)).toThrow(badProof);
    });

    test("a dialler's proof of an earlier session is refused", () => {
      const { left: earlier } = converse(dialler({ bindings }), listener({ binding }));
      const end = listener({ binding });
      end.receive(earlier.said[0]!);
      expect(() => end.receive(earlier.said[1]!)).toThrow(badProof);
    });

    test("the listener's own proof, sent back, does not prove the dialler", () => {
      const end = listener({ binding });
      const [, own] = end.receive(dialler({ bindings }).begin()[0]!).send;
      expect(() => end.receive(altered(own!, { id: relay.peerId }))).toThrow(badProof);
    });

    test("a dialler's own proof, sent back, does not prove the listener", () => {
      // An identity that dials itself, so that key and id would fit.
      const { left } = converse(
        dialler({ bindings, identity: relay }),
        listener({ binding, identity: relay }),
      );
      const [hello, proof] = left.said;
      const end = dialler({ bindings, identity: relay, nonce: new Uint8Array(32).fill(1) });
      end.begin();
      end.receive(
        altered(hello!, {
          version: 1,
          id: relay.peerId,
          binding: binding.kind,
          versions: undefined,
        }),
      );
      expect(() => end.receive(proof!)).toThrow(badProof);
    });

    test.each<[string, Partial<ProofClaim>, Identity]>([
      ["in the other role", { role: "listener" }, box],
      ["to another relay", { audience: mallory.peerId }, box],
      ["to nobody", { audience: undefined }, box],
      ["of another key", {}, mallory],
      ["with the nonces swapped", { diallerNonce: filled(9), listenerNonce: filled(8) }, box],
      ["for another name", { signer: mallory.peerId }, box],
    ])("a proof %s is refused", (_how, change, identity) => {
      const end = listener({ binding, nonce: filled(9) });
      end.receive(dialler({ bindings, nonce: filled(8) }).begin()[0]!);
      const right = {
        role: "dialler",
        binding,
        diallerNonce: filled(8),
        listenerNonce: filled(9),
        signer: box.peerId,
        audience: relay.peerId,
      } as const;
      const wrong = signProof(identity, { ...right, ...change });
      expect(() => end.receive(formatProof({ id: box.peerId, signature: wrong }))).toThrow(
        badProof,
      );
    });

    test("the same claim, signed right, is taken", () => {
      const end = listener({ binding, nonce: filled(9) });
      end.receive(dialler({ bindings, nonce: filled(8) }).begin()[0]!);
      const signature = signProof(box, {
        role: "dialler",
        binding,
        diallerNonce: filled(8),
        listenerNonce: filled(9),
        signer: box.peerId,
        audience: relay.peerId,
      });
      const { proved } = end.receive(formatProof({ id: box.peerId, signature }));
      expect(proved?.id).toBe(box.peerId);
    });
  });

  test("a dialler cannot take another's id", () => {
    expect(() =>
      converse(dialler({ identity: mallory }), listener(), (message, from) =>
        from === "left" && message.type === "command" && message.id === 2
          ? altered(message, { id: box.peerId })
          : message,
      ),
    ).toThrow(badProof);
  });

  test("two diallers, and two listeners, come to nothing", () => {
    expect(() => converse(dialler(), dialler())).toThrow(
      expect.objectContaining({ code: "unsupported_version" }),
    );
    const { left, right } = converse(listener(), listener());
    expect(left.proved ?? right.proved).toBeUndefined();
  });

  test("fields of newer versions are ignored, and an unknown version is refused", () => {
    const { left } = converse(dialler(), listener(), (message) =>
      altered(message, { later: { x: 1 } }),
    );
    expect(left.proved?.id).toBe(relay.peerId);
    const newer = (message: ControlMessage): ControlMessage =>
      altered(message, { versions: [2, 1], bindings: ["quantum", "exporter"] });
    expect(converse(dialler(), listener(), newer).right.proved?.id).toBe(box.peerId);
    expect(() =>
      converse(dialler(), listener(), (message) => altered(message, { versions: [2] })),
    ).toThrow(expect.objectContaining({ name: "WireError", code: "unsupported_version" }));
  });

  test.each<[string, ControlMessage]>([
    ["an answer", { type: "answer", id: 1, error: null, results: [] }],
    ["a notice", { type: "notice", error: "x" }],
    ["another command", { type: "command", id: 1, command: "add_token", args: [{}] }],
    ["a proof before the hello", { type: "command", id: 2, command: "proof", args: [{}] }],
  ])("%s instead of a hello is not expected", (_what, message) => {
    for (const end of [dialler(), listener()]) {
      expect(() => end.receive(message)).toThrow(
        expect.objectContaining({ name: "WireError", code: "unexpected_message" }),
      );
    }
  });

  test.each<[string, Record<string, unknown>]>([
    ["no nonce", { nonce: undefined }],
    ["a short nonce", { nonce: "AAAA" }],
    ["a nonce that is no base64url", { nonce: "+".repeat(43) }],
    ["a nonce that is no text", { nonce: 5 }],
    ["a window of nothing", { window: 0 }],
    ["a window that is no number", { window: "1" }],
    ["a broken number of streams", { streams: 1.5 }],
    ["capabilities that are none", { capabilities: "x" }],
    ["too many capabilities", { capabilities: Array(65).fill("a") }],
    ["too long a capability", { capabilities: ["a".repeat(129)] }],
    ["bindings of numbers", { bindings: [1] }],
    ["no bindings", { bindings: undefined }],
  ])("a hello with %s is malformed", (_what, change) => {
    expect(() => converse(dialler(), listener(), (message) => altered(message, change))).toThrow(
      expect.objectContaining({ name: "WireError", code: "malformed_message" }),
    );
  });

  test.each<[string, Record<string, unknown>]>([
    ["no id", { id: undefined }],
    ["an id that is none", { id: "12D3KooW" }],
    ["an id of a megabyte", { id: "1".repeat(1_000_000) }],
    ["a short signature", { signature: "AAAA" }],
  ])("a dialler's proof with %s is malformed", (_what, change) => {
    expect(() =>
      converse(dialler(), listener(), (message, from) =>
        from === "left" && message.type === "command" && message.id === 2
          ? altered(message, change)
          : message,
      ),
    ).toThrow(expect.objectContaining({ name: "WireError", code: "malformed_message" }));
  });

  test("whatever the peer says, the end is a typed error or more talk, and never a proof", () => {
    const message = fc.oneof(
      fc.record({
        type: fc.constant("command" as const),
        id: fc.nat(),
        command: fc.constantFrom("culvert", "proof", "hello"),
        args: fc.array(
          fc.oneof(
            fc.jsonValue(),
            fc.record({
              versions: fc.constant([1]),
              version: fc.constant(1),
              nonce: fc.constant("A".repeat(43)),
              id: fc.constantFrom(relay.peerId, box.peerId),
              bindings: fc.constant(["exporter"]),
              binding: fc.constant("exporter"),
              window: fc.nat(),
              streams: fc.nat(),
              capabilities: fc.constant([]),
              signature: fc.constant("A".repeat(86)),
            }),
          ),
          { maxLength: 2 },
        ),
      }),
      fc.record({ type: fc.constant("notice" as const), error: fc.jsonValue() }),
    );
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 3 }), fc.boolean(), (said, left) => {
        const end: ProofExchange = left ? dialler() : listener();
        end.begin();
        try {
          for (const one of said) expect(end.receive(one).proved).toBeUndefined();
        } catch (error) {
          expect(error).toBeInstanceOf(CulvertError);
        }
      }),
    );
  });
});

function filled(value: number): Uint8Array {
  return new Uint8Array(32).fill(value);
}

const badProof = expect.objectContaining({
  name: "TransportError",
  code: "handshake_failed",
  data: { reason: "bad_proof" },
}) as Error;
const noCommonBinding = expect.objectContaining({
  name: "TransportError",
  code: "handshake_failed",
  data: expect.objectContaining({ reason: "no_common_binding" }) as object,
}) as Error;
