import { createHmac, createSecretKey, randomBytes } from "node:crypto";
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateIdentity, publicKeyOfPeerId } from "@culvert/identity";
import { systemRandom } from "@culvert/runtime";
import { VirtualClock } from "@culvert/testkit";
import fc from "fast-check";
import { SignJWT } from "jose";
import { describe, expect, it, onTestFinished } from "vitest";
import { mintPeerToken, mintToken } from "./mint-token.ts";
import { createSecretFile, loadSecretFile } from "./secret-file.ts";
import type { TelebitPolicy } from "./telebit-scope.ts";
import { TokenVerifier, type TokenVerdict } from "./token-verifier.ts";

const secret = createSecretKey(Buffer.from("0123456789abcdef0123456789abcdef"));
const policy: TelebitPolicy = {
  domains: ["*.t.example.com", "app.example.com"],
  ports: [{ first: 20_000, last: 20_999 }],
};
const peer = generateIdentity();
const relay = generateIdentity();
const clock = new VirtualClock();
const peerPolicy: TelebitPolicy = {
  domains: ["box.example.com"],
  ports: [{ first: 2222, last: 2222 }],
};
const verifier = new TokenVerifier(clock, {
  secret,
  policy,
  policyOfPeer: (id) => (id === peer.peerId ? peerPolicy : undefined),
  audience: relay.peerId,
});
const hour = 3_600_000;

function hs256(
  claims: Record<string, unknown>,
  header: Record<string, unknown> = {},
): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: "HS256", ...header }).sign(secret);
}

/** A token as anyone can put together who does not care for rules. */
function forged(header: unknown, claims: unknown, key?: Uint8Array): string {
  const signed = [header, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".");
  const signature =
    key === undefined ? "" : createHmac("sha256", key).update(signed).digest("base64url");
  return `${signed}.${signature}`;
}

async function code(token: unknown): Promise<string> {
  const verdict = await verifier.verify(token);
  return verdict.kind === "refused" ? verdict.fault.code : verdict.kind;
}

describe("HS256 tokens", () => {
  it("are taken as the real programs write them", async () => {
    // Names and ports from the keys of a JavaScript object, a time for an issuer, the relay's address for an audience.
    const token = await hs256({
      domains: ["Me.t.example.com", "app.example.com", "app.example.com"],
      ports: ["20000", 20_999],
      aud: "https://relay.example.com/",
      iss: 1_767_225_600,
      iat: 1_767_225_600,
    });
    expect(await verifier.verify(token)).toEqual<TokenVerdict>({
      kind: "good",
      scope: { domains: ["me.t.example.com", "app.example.com"], ports: [20_000, 20_999] },
      expiresAtMs: undefined,
      issuer: "secret",
    });
  });

  it("are made so that they are taken, until they end", async () => {
    const nowMs = clock.wallNowMs();
    const token = await mintToken(secret, {
      scope: { domains: ["*.a.t.example.com"], ports: [20_001] },
      nowMs,
      expiresAtMs: nowMs + hour,
      audience: "https://relay.example.com/",
    });
    expect(await verifier.verify(token)).toMatchObject({
      kind: "good",
      scope: { domains: ["*.a.t.example.com"], ports: [20_001] },
      expiresAtMs: nowMs + hour,
    });
    const later = new VirtualClock(nowMs + hour + 1_000);
    const trust = { secret, policy, policyOfPeer: () => undefined, audience: "" };
    const verdict = await new TokenVerifier(later, trust).verify(token);
    expect(verdict).toMatchObject({
      kind: "refused",
      fault: { code: "E_INVALID_TOKEN", message: "the token has expired" },
    });
  });

  it.each<[string, Record<string, unknown>, string]>([
    ["a foreign name", { domains: ["evil.example.org"] }, "E_INVALID_NAME"],
    ["the name above the wildcard", { domains: ["t.example.com"] }, "E_INVALID_NAME"],
    ["a wildcard above what is given", { domains: ["*.example.com"] }, "E_INVALID_NAME"],
    ["a name that only ends alike", { domains: ["xt.example.com"] }, "E_INVALID_NAME"],
    ["a comma", { domains: ["evil,tcp,.t.example.com"] }, "E_INVALID_NAME"],
    ["a line end", { domains: ["evil\r\nx.t.example.com"] }, "E_INVALID_NAME"],
    [
      "a name of 254 characters",
      { domains: [`${"a.".repeat(120)}.t.example.com`] },
      "E_INVALID_NAME",
    ],
    ["a name that is no text", { domains: [{ toString: "x.t.example.com" }] }, "E_INVALID_NAME"],
    ["names that are no list", { domains: "x.t.example.com" }, "E_INVALID_NAME"],
    [
      "101 names",
      { domains: Array.from({ length: 101 }, (_, i) => `n${i}.t.example.com`) },
      "E_INVALID_NAME",
    ],
    ["a foreign port", { ports: [22] }, "E_INVALID_PORT"],
    ["port 0", { ports: [0] }, "E_INVALID_PORT"],
    ["half a port", { ports: [20_000.5] }, "E_INVALID_PORT"],
    ["a port in hexadecimal", { ports: ["0x4e20"] }, "E_INVALID_PORT"],
    ["33 ports", { ports: Array.from({ length: 33 }, (_, i) => 20_000 + i) }, "E_INVALID_PORT"],
    ["nothing", {}, "E_INVALID_TOKEN"],
    ["one good and one bad", { domains: ["a.t.example.com"], ports: [1] }, "E_INVALID_PORT"],
    ["an end that is no number", { domains: ["a.t.example.com"], exp: "never" }, "E_INVALID_TOKEN"],
  ])("are refused with %s", async (_what, claims, expected) => {
    expect(await code(await hs256(claims))).toBe(expected);
  });

  it("are refused before their time", async () => {
    const nbf = clock.wallNowMs() / 1_000 + 600;
    expect(await code(await hs256({ domains: ["a.t.example.com"], nbf }))).toBe("E_INVALID_TOKEN");
  });

  it("are refused whole where they are huge, undecoded", async () => {
    const domains = Array.from({ length: 10_000 }, (_, i) => `n${i}.t.example.com`);
    expect(await code(await hs256({ domains }))).toBe("E_INVALID_TOKEN");
    expect(await code("a".repeat(100_000_000))).toBe("E_INVALID_TOKEN");
  });

  it("are not taken by a relay without a secret", async () => {
    const none = { secret: undefined, policy, policyOfPeer: () => undefined, audience: "" };
    const token = await hs256({ domains: ["a.t.example.com"] });
    expect((await new TokenVerifier(clock, none).verify(token)).kind).toBe("refused");
  });
});

describe("forged tokens", () => {
  const claims = { domains: ["a.t.example.com"] };
  const raw = Buffer.from(
    publicKeyOfPeerId(peer.peerId).export({ format: "jwk" }).x ?? "",
    "base64url",
  );
  const pem = publicKeyOfPeerId(peer.peerId).export({ format: "pem", type: "spki" });

  it.each<[string, unknown]>([
    ["no algorithm", forged({ alg: "none" }, claims)],
    ["no algorithm in capitals", forged({ alg: "NONE" }, claims)],
    ["no algorithm and a signature", forged({ alg: "none" }, claims, secret.export())],
    ["another digest", forged({ alg: "HS512" }, claims, secret.export())],
    ["a foreign secret", forged({ alg: "HS256" }, claims, randomBytes(32))],
    ["an empty secret", forged({ alg: "HS256" }, claims, Buffer.alloc(0))],
    [
      "a peer's public key as the secret",
      forged({ alg: "HS256" }, { ...claims, iss: peer.peerId }, raw),
    ],
    [
      "its PEM form as the secret",
      forged({ alg: "HS256" }, { ...claims, iss: peer.peerId }, Buffer.from(pem)),
    ],
    [
      "the secret called EdDSA",
      forged({ alg: "EdDSA" }, { ...claims, iss: peer.peerId }, secret.export()),
    ],
    [
      "a key of its own",
      forged({ alg: "HS256", jwk: { kty: "oct", k: "AAAA" } }, claims, Buffer.alloc(3)),
    ],
    [
      "an unknown critical header",
      forged({ alg: "HS256", crit: ["x"], x: 1 }, claims, secret.export()),
    ],
    ["claims that are no object", forged({ alg: "HS256" }, ["a.t.example.com"], secret.export())],
    ["two dots and nothing", ".."],
    ["no text", { jwt: "x" }],
    ["nothing", undefined],
  ])("with %s are refused", async (_what, token) => {
    expect(await code(token)).toBe("E_INVALID_TOKEN");
  });

  it("never make it throw, nor stand in what it says", async () => {
    const good = await hs256(claims);
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string({ maxLength: 300 }),
          fc
            .tuple(fc.nat(good.length - 1), fc.base64String({ maxLength: 3 }))
            .map(([at, text]) => good.slice(0, at) + text + good.slice(at + 1)),
        ),
        async (token) => {
          const verdict = await verifier.verify(token);
          if (token === good || verdict.kind === "good") return;
          if (token.length > 12) expect(verdict.fault.message).not.toContain(token.slice(0, 12));
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe("EdDSA tokens", () => {
  const nowMs = clock.wallNowMs();
  const request = {
    scope: { domains: ["box.example.com"], ports: [2222] },
    nowMs,
    expiresAtMs: nowMs + hour,
    audience: relay.peerId as string,
  };

  it("are taken from a peer for what the relay gives it", async () => {
    expect(await verifier.verify(await mintPeerToken(peer, request))).toEqual({
      kind: "good",
      scope: request.scope,
      expiresAtMs: nowMs + hour,
      issuer: peer.peerId,
    });
  });

  it("are refused for more, though the secret could grant it", async () => {
    const scope = { domains: ["a.t.example.com"], ports: [] };
    expect(await code(await mintPeerToken(peer, { ...request, scope }))).toBe("E_INVALID_NAME");
  });

  it("are refused from a stranger, for another relay, in another's name, too old, or without an end", async () => {
    const stranger = generateIdentity();
    const sign = (claims: Record<string, unknown>): Promise<string> =>
      new SignJWT({ domains: ["box.example.com"], ...claims })
        .setProtectedHeader({ alg: "EdDSA" })
        .sign(stranger.privateKey);
    const aud = relay.peerId;
    const iat = nowMs / 1_000;
    const exp = iat + 600;
    const own = (claims: Record<string, unknown>): Promise<string> =>
      new SignJWT({ domains: ["box.example.com"], iss: peer.peerId, ...claims })
        .setProtectedHeader({ alg: "EdDSA" })
        .sign(peer.privateKey);
    expect(await code(await mintPeerToken(stranger, request))).toBe("E_INVALID_TOKEN");
    expect(await code(await mintPeerToken(peer, { ...request, audience: stranger.peerId }))).toBe(
      "E_INVALID_TOKEN",
    );
    expect(await code(await sign({ iss: peer.peerId, aud, iat, exp }))).toBe("E_INVALID_TOKEN");
    expect(await code(await own({ aud, iat: iat - 2 * 86_400, exp }))).toBe("E_INVALID_TOKEN");
    expect(await code(await own({ aud, iat }))).toBe("E_INVALID_TOKEN");
    expect(await code(await own({ iat, exp }))).toBe("E_INVALID_TOKEN");
    expect(await code(await own({ aud, iat, exp }))).toBe("good");
  });
});

describe("the secret's file", () => {
  async function folder(): Promise<string> {
    const path = await mkdtemp(join(tmpdir(), "culvert-secret-"));
    onTestFinished(() => rm(path, { recursive: true }));
    return path;
  }

  it("is made for its owner alone, never overwritten, and read again", async () => {
    const path = join(await folder(), "secret");
    const made = await createSecretFile(path, systemRandom);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await loadSecretFile(path)).equals(made)).toBe(true);
    await expect(createSecretFile(path, systemRandom)).rejects.toMatchObject({
      code: "already_exists",
    });
  });

  it("takes the secret of a Telebit relay: its text is the key", async () => {
    const path = join(await folder(), "secret");
    await writeFile(path, "0123456789abcdef0123456789abcdef\n", { mode: 0o600 });
    expect((await loadSecretFile(path)).equals(secret)).toBe(true);
  });

  it("is missed in words that say who makes it", async () => {
    const path = join(await folder(), "secret");
    await expect(loadSecretFile(path)).rejects.toThrow(/no such file; culvert token makes it/);
  });

  it("is refused where it is short, several lines, or open to others", async () => {
    const path = join(await folder(), "secret");
    for (const text of ["", "short\n", `${"a".repeat(40)}\n${"b".repeat(40)}\n`]) {
      await writeFile(path, text, { mode: 0o600 });
      await expect(loadSecretFile(path)).rejects.toMatchObject({ code: "bad_key" });
    }
    await chmod(path, 0o640);
    await expect(loadSecretFile(path)).rejects.toMatchObject({ code: "key_file_permissions" });
    expect(await readFile(path, "utf8")).toContain("aaaa");
  });
});
