import { createPrivateKey, generateKeyPairSync, sign, verify } from "node:crypto";
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { ConfigError } from "@culvert/runtime";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  generateIdentity,
  identityOfPrivateKey,
  loadIdentityFile,
  parsePeerId,
  peerIdOfPublicKey,
  privateKeyToProtobuf,
  publicKeyOfPeerId,
  writeIdentityFile,
} from "./index.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "culvert-identity-"));
});
afterAll(() => rm(directory, { recursive: true }));

async function configError(promise: Promise<unknown>): Promise<ConfigError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ConfigError);
  return error as ConfigError;
}

describe("peer ids", () => {
  it("give back the public key they were made of", () => {
    const { peerId, privateKey } = generateIdentity();
    const text = Buffer.from("said by that peer");
    const signature = sign(null, text, privateKey);
    expect(verify(null, text, publicKeyOfPeerId(peerId), signature)).toBe(true);
    expect(verify(null, text, publicKeyOfPeerId(generateIdentity().peerId), signature)).toBe(false);
  });

  it("have the known form of a known key", () => {
    // The private key of github.com/libp2p/specs, peer-ids/peer-ids.md, section "Test vectors" (Ed25519): header, then 64 bytes.
    const protobuf = Buffer.from(
      "080112407e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d" +
        "1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e",
      "hex",
    );
    const identity = identityOfPrivateKey(
      createPrivateKey({
        key: Buffer.concat([
          Buffer.from("302e020100300506032b657004220420", "hex"),
          protobuf.subarray(4, 36),
        ]),
        format: "der",
        type: "pkcs8",
      }),
    );
    expect(Buffer.from(privateKeyToProtobuf(identity)).equals(protobuf)).toBe(true);
    expect(peerIdOfPublicKey(protobuf.subarray(36))).toBe(identity.peerId);
  });

  it("survive parsing, for any key", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (raw) => {
        const id = peerIdOfPublicKey(raw);
        expect(id).toMatch(/^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/);
        expect(parsePeerId(id)).toBe(id);
      }),
    );
  });

  it("that are wrong are refused with the text shown", () => {
    const good = generateIdentity().peerId;
    const wrong = [
      "",
      "lan-box",
      ` ${good}`,
      good.slice(0, -1),
      `${good}1`,
      `1${good}`,
      good.replace("K", "0"),
      "QmfXbAwNjJLXfesgztEHe8HwgVDCMMpZ9Eax1HYq6hn9uE",
      "16Uiu2HAkutTMoTzDw1tCvSRtu6YoixJwS46S1ZFxW8hSx9fWHiPs",
    ];
    for (const text of wrong) {
      expect(() => parsePeerId(text)).toThrow(ConfigError);
      expect(() => parsePeerId(text)).toThrow(JSON.stringify(text));
    }
    expect(() => parsePeerId("1".repeat(1_000_000))).toThrow("1000000 characters");
  });

  it("that are random text are ids or ConfigErrors", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(() => parsePeerId(text)).toThrow(ConfigError);
      }),
    );
  });

  it("are made of Ed25519 keys only", () => {
    const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    expect(() => identityOfPrivateKey(other)).toThrow("not this ec private key");
    expect(() => peerIdOfPublicKey(new Uint8Array(31))).toThrow("31");
  });
});

describe("key files", () => {
  it("are written for their owner only and read back", async () => {
    const path = join(directory, "good.key");
    const identity = generateIdentity();
    await writeIdentityFile(path, identity);
    if (process.platform !== "win32") expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readFile(path, "utf8")).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
    const loaded = await loadIdentityFile(path);
    expect(loaded.peerId).toBe(identity.peerId);
    expect(loaded.privateKey.equals(identity.privateKey)).toBe(true);
  });

  it("are never overwritten", async () => {
    const path = join(directory, "taken.key");
    await writeIdentityFile(path, generateIdentity());
    const before = await readFile(path);
    const error = await configError(writeIdentityFile(path, generateIdentity()));
    expect(error.code).toBe("already_exists");
    expect(error.message).toContain(path);
    expect(await readFile(path)).toEqual(before);
  });

  it("that cannot be written are named", async () => {
    const path = join(directory, "missing", "x.key");
    const error = await configError(writeIdentityFile(path, generateIdentity()));
    expect(error.code).toBe("unwritable_file");
    expect(error.message).toContain(path);
  });

  it.skipIf(process.platform === "win32")(
    "that others may use are refused with the command that mends it",
    async () => {
      const path = join(directory, "it's open.key");
      await writeIdentityFile(path, generateIdentity());
      for (const mode of [0o640, 0o604, 0o620, 0o777]) {
        await chmod(path, mode);
        const error = await configError(loadIdentityFile(path));
        expect(error.code).toBe("key_file_permissions");
        expect(error.message).toContain(`chmod 600 '${directory}/it'\\''s open.key'`);
      }
      await chmod(path, 0o400);
      await loadIdentityFile(path);
    },
  );

  it.skipIf(process.platform !== "linux" || process.getuid?.() !== 0)(
    "that systemd hands to a service are taken, with the group's bits that its access list shows",
    async () => {
      await mkdir("/run/credentials", { recursive: true });
      const folder = await mkdtemp("/run/credentials/culvert-test-");
      try {
        const path = join(folder, "key");
        await writeIdentityFile(path, generateIdentity());
        await chmod(path, 0o440);
        await loadIdentityFile(path);
        await chmod(path, 0o444);
        expect((await configError(loadIdentityFile(path))).code).toBe("key_file_permissions");
      } finally {
        await rm(folder, { recursive: true });
      }
    },
  );

  it("that are missing or no files are named with the reason", async () => {
    const missing = await configError(loadIdentityFile(join(directory, "none.key")));
    expect(missing.code).toBe("unreadable_file");
    expect(missing.message).toContain("none.key: no such file");
    const folder = join(directory, "folder");
    await mkdir(folder, { mode: 0o700 });
    expect((await configError(loadIdentityFile(folder))).code).toBe("unreadable_file");
  });

  it("that hold garbage or another kind of key are refused without showing it", async () => {
    const path = join(directory, "bad.key");
    const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    const encrypted = generateIdentity().privateKey.export({
      format: "pem",
      type: "pkcs8",
      cipher: "aes-256-cbc",
      passphrase: "secret",
    });
    const pem = p256.export({ format: "pem", type: "pkcs8" });
    for (const content of ["", "garbage", "\0".repeat(100_000), pem, encrypted]) {
      await writeFile(path, content, { mode: 0o600 });
      const error = await configError(loadIdentityFile(path));
      expect(error.code).toBe("bad_key");
      expect(error.message).toContain(path);
      expect(error.message).not.toContain("garbage");
    }
  });
});
