import { createPrivateKey, type KeyObject } from "node:crypto";
import { ConfigError, errorText } from "@culvert/runtime";
import { identityOfPrivateKey, type Identity } from "./identity.ts";
import { readPrivateFile, writePrivateFile } from "./private-file.ts";

/**
 * Reads a key file: an Ed25519 private key as PKCS#8 PEM, which only its owner may read.
 * @throws ConfigError `unreadable_file` (missing, not permitted, not a file), `key_file_permissions` (group or others have
 * access; not checked on Windows) or `bad_key` (no Ed25519 key in it); each names the path.
 */
export async function loadIdentityFile(path: string): Promise<Identity> {
  const pem = await readPrivateFile(path, "key file");
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(pem);
  } catch (error) {
    throw new ConfigError("bad_key", `${path} holds no private key in PKCS#8 PEM form`, {
      data: { path },
      cause: error,
    });
  } finally {
    pem.fill(0);
  }
  try {
    return identityOfPrivateKey(privateKey);
  } catch (error) {
    throw new ConfigError("bad_key", `${path}: ${errorText(error)}`, { data: { path } });
  }
}

/**
 * Writes a key file that only its owner may read (mode 0600). Never overwrites.
 * @throws ConfigError `already_exists` or `unwritable_file`, naming the path.
 */
export async function writeIdentityFile(path: string, identity: Identity): Promise<void> {
  const pem = identity.privateKey.export({ format: "pem", type: "pkcs8" });
  await writePrivateFile(path, "key file", pem);
}
