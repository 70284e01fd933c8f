import type { Identity, PeerId } from "@culvert/identity";
import { TransportError } from "@culvert/runtime";
import type { ControlMessage } from "@culvert/wire";
import {
  signProof,
  verifyProof,
  type ChannelBinding,
  type ChannelBindingKind,
  type ProofDomain,
} from "./identity-proof.ts";
import {
  formatDiallerHello,
  formatListenerHello,
  formatProof,
  parseDiallerHello,
  parseListenerHello,
  parseProof,
  type DiallerHello,
  type ListenerHello,
  type SessionTerms,
} from "./identity-proof-messages.ts";

/** Who is at the other end, proved, and what it allows. */
export interface ProvedPeer {
  readonly id: PeerId;
  readonly binding: ChannelBindingKind;
  readonly terms: SessionTerms;
}

/** What follows from a message: what to send, and the peer once it is proved. */
export interface ProofStep {
  readonly send: readonly ControlMessage[];
  readonly proved?: ProvedPeer;
}

/** One end's part in the mutual proof of identities (PROTOCOL.md §12.2). Sees messages in order, and does no I/O. */
export interface ProofExchange {
  /** What to send at the start. */
  begin(): readonly ControlMessage[];
  /**
   * Takes the peer's next message. To be called no more once `proved` was given or it has thrown.
   * @throws WireError for a message that is none or does not belong there; TransportError `wrong_peer` or `handshake_failed`.
   */
  receive(message: ControlMessage): ProofStep;
}

/** What both ends bring. */
interface ProofOptions {
  readonly identity: Identity;
  /** {@link nonceBytes} fresh random bytes. */
  readonly nonce: Uint8Array;
  readonly terms: SessionTerms;
  /** Default: `session`. */
  readonly domain?: ProofDomain | undefined;
}

/** What the end that dialled brings. */
export interface DiallerProofOptions extends ProofOptions {
  /** The only peer accepted at the other end. */
  readonly relayId: PeerId;
  /** The bindings it accepts: `challenge` only where the user has said that a proxy ends TLS, and its certificate was verified. */
  readonly bindings: readonly ChannelBinding[];
}

/** What the end that listened brings. */
export interface ListenerProofOptions extends ProofOptions {
  /** The one binding of this entrance: `exporter` where TLS ends in this process, `challenge` where a proxy ends it. */
  readonly binding: ChannelBinding;
}

/** The end that dialled: it learns who the other is, and has it proved, before it says who it is itself. */
export class DiallerProof implements ProofExchange {
  readonly #options: DiallerProofOptions;
  #listener: { readonly hello: ListenerHello; readonly binding: ChannelBinding } | undefined;

  constructor(options: DiallerProofOptions) {
    this.#options = options;
  }

  begin(): readonly ControlMessage[] {
    const { nonce, bindings, terms } = this.#options;
    return [formatDiallerHello({ nonce, bindings: bindings.map(({ kind }) => kind), terms })];
  }

  receive(message: ControlMessage): ProofStep {
    if (this.#listener === undefined) {
      this.#listener = this.#judge(parseListenerHello(message));
      return { send: [] };
    }
    const { hello, binding } = this.#listener;
    const { identity, nonce, relayId, domain } = this.#options;
    const nonces = { domain, diallerNonce: nonce, listenerNonce: hello.nonce };
    const theirs = { role: "listener", binding, ...nonces, signer: relayId } as const;
    const { signature } = parseProof(message, { withId: false });
    if (!verifyProof({ ...theirs, audience: undefined }, signature)) throw badProof(relayId);
    const id = identity.peerId;
    const ours = { role: "dialler", binding, ...nonces, signer: id, audience: relayId } as const;
    return {
      send: [formatProof({ id, signature: signProof(identity, ours) })],
      proved: { id: relayId, binding: binding.kind, terms: hello.terms },
    };
  }

  #judge(hello: ListenerHello): { hello: ListenerHello; binding: ChannelBinding } {
    const { relayId, bindings } = this.#options;
    if (hello.id !== relayId) {
      throw new TransportError("wrong_peer", `expected peer ${relayId}, met ${hello.id}`, {
        data: { expected: relayId, met: hello.id },
      });
    }
    const binding = bindings.find(({ kind }) => kind === hello.binding);
    if (binding === undefined) {
      throw noCommonBinding([hello.binding], `not accepted here: ${JSON.stringify(hello.binding)}`);
    }
    return { hello, binding };
  }
}

/** The end that listened: it proves itself to whoever asks, and then hears who that is. */
export class ListenerProof implements ProofExchange {
  readonly #options: ListenerProofOptions;
  #dialler: DiallerHello | undefined;

  constructor(options: ListenerProofOptions) {
    this.#options = options;
  }

  begin(): readonly ControlMessage[] {
    return [];
  }

  receive(message: ControlMessage): ProofStep {
    if (this.#dialler === undefined) {
      this.#dialler = parseDiallerHello(message);
      return { send: this.#prove(this.#dialler) };
    }
    const { binding, nonce, identity, domain } = this.#options;
    const { id, signature } = parseProof(message, { withId: true });
    const claim = {
      domain,
      role: "dialler",
      binding,
      diallerNonce: this.#dialler.nonce,
      listenerNonce: nonce,
      audience: identity.peerId,
    } as const;
    if (id === undefined || !verifyProof({ ...claim, signer: id }, signature)) throw badProof(id);
    return { send: [], proved: { id, binding: binding.kind, terms: this.#dialler.terms } };
  }

  #prove(dialler: DiallerHello): ControlMessage[] {
    const { identity, nonce, binding, terms, domain } = this.#options;
    if (!dialler.bindings.includes(binding.kind)) {
      throw noCommonBinding(
        dialler.bindings,
        binding.kind === "challenge"
          ? "TLS ends at a proxy before this relay, and the other end does not say so (behindProxy)"
          : "TLS ends in this relay, and the other end does not prove itself by it",
      );
    }
    const signature = signProof(identity, {
      domain,
      role: "listener",
      binding,
      diallerNonce: dialler.nonce,
      listenerNonce: nonce,
      signer: identity.peerId,
      audience: undefined,
    });
    return [
      formatListenerHello({ nonce, id: identity.peerId, binding: binding.kind, terms }),
      formatProof({ id: undefined, signature }),
    ];
  }
}

function badProof(id: PeerId | undefined): TransportError {
  return new TransportError(
    "handshake_failed",
    `the proof that the peer is ${id ?? "anybody"} is wrong: it may be another's, another session's, or TLS ends in between`,
    { data: { reason: "bad_proof" } },
  );
}

function noCommonBinding(offered: readonly string[], why: string): TransportError {
  return new TransportError(
    "handshake_failed",
    `no way to bind the session to its channel: ${why}`,
    {
      data: { reason: "no_common_binding", offered: offered.slice(0, 4) },
    },
  );
}
