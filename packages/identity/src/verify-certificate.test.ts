import "reflect-metadata";
import { webcrypto, X509Certificate } from "node:crypto";
import { Extension, X509CertificateGenerator } from "@peculiar/x509";
import fc from "fast-check";
import { TransportError } from "@culvert/runtime";
import { describe, expect, it } from "vitest";
import { createCertificate, generateIdentity, verifyPeerCertificate } from "./index.ts";
import { encodeSignedKey, libp2pExtensionOid } from "./libp2p-extension.ts";

const nowMs = Date.UTC(2026, 10, 21);
const yearMs = 365 * 24 * 3_600_000;

async function makeDer(identity = generateIdentity(), wallNowMs = nowMs): Promise<Uint8Array> {
  const { certificatePem } = await createCertificate(identity, { wallNowMs });
  return new Uint8Array(new X509Certificate(certificatePem).raw);
}

/** Verifies and gives the error's text; any error but a TransportError `handshake_failed` fails the test. */
function refusal(der: Uint8Array, wallNowMs = nowMs): string | undefined {
  try {
    verifyPeerCertificate(der, wallNowMs);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(TransportError);
    expect((error as TransportError).code).toBe("handshake_failed");
    return (error as TransportError).message;
  }
}

interface ExtensionSpec {
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Uint8Array;
}

/** A certificate that signs itself well, with whatever extensions. */
async function certificateWith(
  extensions: (spkiDer: Uint8Array) => ExtensionSpec[],
): Promise<Uint8Array> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" } as const;
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const spkiDer = new Uint8Array(await webcrypto.subtle.exportKey("spki", keys.publicKey));
  const certificate = await X509CertificateGenerator.createSelfSigned({
    notBefore: new Date(nowMs - yearMs),
    notAfter: new Date(nowMs + yearMs),
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    keys,
    extensions: extensions(spkiDer).map(
      ({ oid, critical, value }) => new Extension(oid, critical, value),
    ),
  });
  return new Uint8Array(certificate.rawData);
}

describe("verifyPeerCertificate", () => {
  it("gives the peer id of the identity that made the certificate", async () => {
    const identity = generateIdentity();
    expect(verifyPeerCertificate(await makeDer(identity), nowMs)).toBe(identity.peerId);
  });

  it("accepts the Ed25519 vector of the libp2p specification", () => {
    const der = Buffer.from(certificateVectors.ed25519, "hex");
    expect(verifyPeerCertificate(der, nowMs)).toBe(ed25519VectorPeerId);
  });

  it("refuses valid vectors with other kinds of host keys", () => {
    expect(refusal(Buffer.from(certificateVectors.ecdsa, "hex"))).toContain("not an Ed25519 key");
    expect(refusal(Buffer.from(certificateVectors.secp256k1, "hex"))).toContain(
      "not an Ed25519 key",
    );
  });

  it("refuses the vector whose host key did not sign", () => {
    expect(refusal(Buffer.from(certificateVectors.mismatched, "hex"))).toBeDefined();
  });

  it("refuses self-signed certificates whose extensions are not as they must be", async () => {
    const identity = generateIdentity();
    const make = (extensions: (spki: Uint8Array) => ExtensionSpec[]): Promise<Uint8Array> =>
      certificateWith(extensions);
    const good = (spki: Uint8Array): ExtensionSpec => ({
      oid: libp2pExtensionOid,
      critical: false,
      value: encodeSignedKey(identity, spki),
    });
    const unknown = { oid: "1.3.6.1.4.1.53594.1.99", value: Uint8Array.of(5, 0) };

    expect(verifyPeerCertificate(await make((spki) => [good(spki)]), nowMs)).toBe(identity.peerId);
    const critical = await make((spki) => [{ ...good(spki), critical: true }]);
    expect(verifyPeerCertificate(critical, nowMs)).toBe(identity.peerId);
    const ignorable = await make((spki) => [{ ...unknown, critical: false }, good(spki)]);
    expect(verifyPeerCertificate(ignorable, nowMs)).toBe(identity.peerId);

    const refused: [string, (spki: Uint8Array) => ExtensionSpec[]][] = [
      ["no libp2p extension", () => []],
      ["no libp2p extension", () => [{ ...unknown, critical: false }]],
      ["a critical extension", (spki) => [good(spki), { ...unknown, critical: true }]],
      ["did not sign it", (spki) => [good(Uint8Array.of(...spki.subarray(1), 0))]],
      ["ends inside", (spki) => [{ ...good(spki), value: Uint8Array.of(0x30, 0, 0) }]],
      ["two octet strings", (spki) => [{ ...good(spki), value: Uint8Array.of(0x30, 0) }]],
      [
        "not exactly one",
        (spki) => [{ ...good(spki), value: Uint8Array.of(...good(spki).value, 5, 0) }],
      ],
    ];
    for (const [text, extensions] of refused) {
      expect(refusal(await make(extensions))).toContain(text);
    }
  });

  it("tolerates clocks ten minutes apart and no more", async () => {
    const identity = generateIdentity();
    const der = await makeDer(identity, nowMs);
    const { validFrom, validTo } = new X509Certificate(der);
    const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
    expect(refusal(der, from - 9 * 60_000)).toBeUndefined();
    expect(refusal(der, from - 11 * 60_000)).toContain("not valid before");
    expect(refusal(der, to + 9 * 60_000)).toBeUndefined();
    expect(refusal(der, to + 11 * 60_000)).toContain("not valid after");
    expect(to - nowMs).toBeGreaterThan(20 * yearMs);
  });

  it("refuses bytes before or after the certificate, PEM, and the empty certificate", async () => {
    const der = await makeDer();
    expect(refusal(Uint8Array.of(...der, 0))).toBeDefined();
    expect(refusal(Uint8Array.of(...der, ...der))).toBeDefined();
    expect(refusal(Uint8Array.of(0, ...der))).toBeDefined();
    expect(refusal(Buffer.from(new X509Certificate(der).toString()))).toBeDefined();
    expect(refusal(new Uint8Array(0))).toBeDefined();
    expect(refusal(new Uint8Array(1 << 20).fill(0x30))).toContain("more than 4096");
  });

  it("refuses every certificate with one byte changed", async () => {
    const der = await makeDer();
    fc.assert(
      fc.property(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const changed = Uint8Array.from(der);
        changed[at] = changed[at]! ^ change;
        expect(refusal(changed)).toBeDefined();
      }),
      { numRuns: 2000 },
    );
  });

  it("refuses every truncated certificate", async () => {
    const der = await makeDer();
    for (let length = 0; length < der.length; length++) {
      expect(refusal(der.subarray(0, length))).toBeDefined();
    }
  });

  it("refuses random bytes, also inside a valid frame", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        expect(refusal(bytes)).toBeDefined();
        const framed = Uint8Array.of(0x30, 0x82, bytes.length >> 8, bytes.length & 0xff, ...bytes);
        expect(refusal(framed)).toBeDefined();
      }),
      { numRuns: 2000 },
    );
  });
});

/** Test vectors of github.com/libp2p/specs, tls/tls.md, section "Test vectors" (certificates, DER in hex). */
const certificateVectors = {
  ed25519:
    "308201ae30820156a0030201020204499602d2300a06082a8648ce3d040302302031123010060355040a1309" +
    "6c69627032702e696f310a300806035504051301313020170d3735303130313133303030305a180f34303936" +
    "303130313133303030305a302031123010060355040a13096c69627032702e696f310a300806035504051301" +
    "313059301306072a8648ce3d020106082a8648ce3d030107034200040c901d423c831ca85e27c73c263ba132" +
    "721bb9d7a84c4f0380b2a6756fd601331c8870234dec878504c174144fa4b14b66a651691606d8173e55bd37" +
    "e381569ea37c307a3078060a2b0601040183a25a0101046a3068042408011220a77f1d92fedb59dddaea5a1c" +
    "4abd1ac2fbde7d7b879ed364501809923d7c11b90440d90d2769db992d5e6195dbb08e706b6651e024fda6cf" +
    "b8846694a435519941cac215a8207792e42849cccc6cd8136c6e4bde92a58c5e08cfd4206eb5fe0bf909300a" +
    "06082a8648ce3d0403020346003043021f50f6b6c52711a881778718238f650c9fb48943ae6ee6d28427dc60" +
    "71ae55e702203625f116a7a454db9c56986c82a25682f7248ea1cb764d322ea983ed36a31b77",
  ecdsa:
    "308201f63082019da0030201020204499602d2300a06082a8648ce3d040302302031123010060355040a1309" +
    "6c69627032702e696f310a300806035504051301313020170d3735303130313133303030305a180f34303936" +
    "303130313133303030305a302031123010060355040a13096c69627032702e696f310a300806035504051301" +
    "313059301306072a8648ce3d020106082a8648ce3d030107034200040c901d423c831ca85e27c73c263ba132" +
    "721bb9d7a84c4f0380b2a6756fd601331c8870234dec878504c174144fa4b14b66a651691606d8173e55bd37" +
    "e381569ea381c23081bf3081bc060a2b0601040183a25a01010481ad3081aa045f0803125b3059301306072a" +
    "8648ce3d020106082a8648ce3d03010703420004bf30511f909414ebdd3242178fd290f093a551cf75c97315" +
    "5de0bb5a96fedf6cb5d52da7563e794b512f66e60c7f55ba8a3acf3dd72a801980d205e8a1ad29f204473045" +
    "0220064ea8124774caf8f50e57f436aa62350ce652418c019df5d98a3ac666c9386a022100aa59d704a931b5" +
    "f72fb9222cb6cc51f954d04a4e2e5450f8805fe8918f71eaae300a06082a8648ce3d04030203470030440220" +
    "799395b0b6c1e940a7e4484705f610ab51ed376f19ff9d7c16757cfbf61b8d4302206205c03fbb0f95205c77" +
    "9be86581d3e31c01871ad5d1f3435bcf375cb0e5088a",
  secp256k1:
    "308201ba3082015fa0030201020204499602d2300a06082a8648ce3d040302302031123010060355040a1309" +
    "6c69627032702e696f310a300806035504051301313020170d3735303130313133303030305a180f34303936" +
    "303130313133303030305a302031123010060355040a13096c69627032702e696f310a300806035504051301" +
    "313059301306072a8648ce3d020106082a8648ce3d030107034200040c901d423c831ca85e27c73c263ba132" +
    "721bb9d7a84c4f0380b2a6756fd601331c8870234dec878504c174144fa4b14b66a651691606d8173e55bd37" +
    "e381569ea38184308181307f060a2b0601040183a25a01010471306f0425080212210206dc6968726765b820" +
    "f050263ececf7f71e4955892776c0970542efd689d2382044630440220145e15a991961f0d08cd15425bb95e" +
    "c93f6ffa03c5a385eedc34ecf464c7a8ab022026b3109b8a3f40ef833169777eb2aa337cfb6282f188de0666" +
    "d1bcec2a4690dd300a06082a8648ce3d0403020349003046022100e1a217eeef9ec9204b3f774a08b7084964" +
    "6b6a1e6b8b27f93dc00ed58545d9fe022100b00dafa549d0f03547878338c7b15e7502888f6d45db387e5ae6" +
    "b5d46899cef0",
  mismatched:
    "308201f73082019da0030201020204499602d2300a06082a8648ce3d040302302031123010060355040a1309" +
    "6c69627032702e696f310a300806035504051301313020170d3735303130313133303030305a180f34303936" +
    "303130313133303030305a302031123010060355040a13096c69627032702e696f310a300806035504051301" +
    "313059301306072a8648ce3d020106082a8648ce3d030107034200040c901d423c831ca85e27c73c263ba132" +
    "721bb9d7a84c4f0380b2a6756fd601331c8870234dec878504c174144fa4b14b66a651691606d8173e55bd37" +
    "e381569ea381c23081bf3081bc060a2b0601040183a25a01010481ad3081aa045f0803125b3059301306072a" +
    "8648ce3d020106082a8648ce3d03010703420004bf30511f909414ebdd3242178fd290f093a551cf75c97315" +
    "5de0bb5a96fedf6cb5d52da7563e794b512f66e60c7f55ba8a3acf3dd72a801980d205e8a1ad29f204473045" +
    "022100bb6e03577b7cc7a3cd1558df0da2b117dfdcc0399bc2504ebe7de6f65cade72802206de96e2a5be9b6" +
    "202adba24ee0362e490641ac45c240db71fe955f2c5cf8df6e300a06082a8648ce3d04030203480030450221" +
    "00e847f267f43717358f850355bdcabbefb2cfbf8a3c043b203a14788a092fe8db022027c1d04a2d41fd6b57" +
    "a7e8b3989e470325de4406e52e084e34a3fd56eef0d0df",
} as const;

/** The peer id that the first vector names. */
const ed25519VectorPeerId = "12D3KooWM6CgA9iBFZmcYAHA6A2qvbAxqfkmrYiRQuz3XEsk4Ksv";
