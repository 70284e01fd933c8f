import {
  signStatement,
  verifyStatement,
  type Identity,
  type PeerId,
  type Statement,
} from "@culvert/identity";

/** Which end of a session: who dialled, or who listened. */
export type ProofRole = "dialler" | "listener";

/**
 * What ties a proof to the one connection it is made on. `exporter`: 32 bytes that only the two ends of this TLS 1.3 connection can
 * compute. `challenge`: the nonces alone, where TLS ends at a proxy in between that both ends trust; whoever can read there
 * can pass proofs on.
 */
export type ChannelBinding =
  { readonly kind: "exporter"; readonly exporter: Uint8Array } | { readonly kind: "challenge" };

/** The names of the bindings, as they stand in hellos. */
export type ChannelBindingKind = ChannelBinding["kind"];

/** What kind of session a proof is for, so that a proof for one is worth nothing in another: M-PROXY's, or that over IP packets. */
export type ProofDomain = "session" | "norouter";

/** Everything a proof vouches for (PROTOCOL.md §12.3). */
export interface ProofClaim {
  /** Default: `session`. */
  readonly domain?: ProofDomain | undefined;
  readonly role: ProofRole;
  readonly binding: ChannelBinding;
  readonly diallerNonce: Uint8Array;
  readonly listenerNonce: Uint8Array;
  /** Whose key signs. */
  readonly signer: PeerId;
  /** To whom; a listener proves itself before it knows the dialler, and names nobody. */
  readonly audience: PeerId | undefined;
}

/** Signs a claim with the key of `identity`, who must be its signer. */
export function signProof(identity: Identity, claim: ProofClaim): Uint8Array {
  return signStatement(identity, proofStatement(claim));
}

/** Whether `signature` is the claim's signer's over exactly this claim. Never throws. */
export function verifyProof(claim: ProofClaim, signature: Uint8Array): boolean {
  return verifyStatement(claim.signer, proofStatement(claim), signature);
}

/** Bytes of a nonce. */
export const nonceBytes = 32;
/** Bytes of the exporter's value. */
export const exporterBytes = 32;
/** The label of the TLS exporter (RFC 8446 §7.5), without a context. */
export const exporterLabel = "EXPORTER-culvert-session";

function proofStatement(claim: ProofClaim): Statement {
  const { binding } = claim;
  return {
    label: labels[claim.domain ?? "session"],
    fields: [
      text(claim.role),
      text(binding.kind),
      binding.kind === "exporter" ? binding.exporter : new Uint8Array(0),
      claim.diallerNonce,
      claim.listenerNonce,
      text(claim.signer),
      text(claim.audience ?? ""),
    ],
  };
}

function text(value: string): Uint8Array {
  return encoder.encode(value);
}

const labels: Readonly<Record<ProofDomain, Statement["label"]>> = {
  session: "culvert-session-v1:",
  norouter: "culvert-norouter-v1:",
};
const encoder = new TextEncoder();
