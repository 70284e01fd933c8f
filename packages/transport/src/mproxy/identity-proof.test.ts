import { createPrivateKey } from "node:crypto";
import { identityOfPrivateKey } from "@culvert/identity";
import { expect, test } from "vitest";
import { signProof, verifyProof, type ProofClaim } from "./identity-proof.ts";

/** Keys whose seed is one byte, 32 times (RFC 8410 §7). */
function identityOf(seed: number): ReturnType<typeof identityOfPrivateKey> {
  const header = Buffer.from("302e020100300506032b657004220420", "hex");
  const key = Buffer.concat([header, Buffer.alloc(32, seed)]);
  return identityOfPrivateKey(createPrivateKey({ key, format: "der", type: "pkcs8" }));
}

const relay = identityOf(1);
const box = identityOf(2);
const nonces = {
  diallerNonce: new Uint8Array(32).fill(0xd1),
  listenerNonce: new Uint8Array(32).fill(0x11),
};

// What any other implementation must sign too (PROTOCOL.md §12.3).
const vectors: [string, ProofClaim, string][] = [
  [
    "the listener, by the exporter",
    {
      role: "listener",
      binding: { kind: "exporter", exporter: new Uint8Array(32).fill(0xee) },
      ...nonces,
      signer: relay.peerId,
      audience: undefined,
    },
    "607287bf6b7498a77411b63ced2d0c95586e29e485adcb5f4fdcf2035ebddb10c671ac3d86a1e0a49e0d3164be34824271944c3fc3c314f905f646838cf50b0c",
  ],
  [
    "the dialler, by a challenge",
    {
      role: "dialler",
      binding: { kind: "challenge" },
      ...nonces,
      signer: box.peerId,
      audience: relay.peerId,
    },
    "29a87e6484bac15f7a9314811b2fe32b7ca921e3001e5379fedf7648d97ffdb61dc2f5f99275cbff203a47ff519595b9d3c21941b40f2f92ffa1f130e54bd804",
  ],
];

test("the keys of the vectors", () => {
  expect([relay.peerId, box.peerId]).toEqual([
    "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5",
    "12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq",
  ]);
});

test.each(vectors)("the proof of %s is always the same", (_what, claim, signature) => {
  const signer = claim.role === "listener" ? relay : box;
  expect(Buffer.from(signProof(signer, claim)).toString("hex")).toBe(signature);
  expect(verifyProof(claim, Buffer.from(signature, "hex"))).toBe(true);
});
