import { createPrivateKey, type KeyObject } from "node:crypto";
import { constants } from "node:fs";
import { open, unlink, type FileHandle } from "node:fs/promises";
import { CulvertError, ConfigError, errorText, systemCode } from "@culvert/runtime";
import { identityOfPrivateKey, type Identity } from "./identity.ts";

/**
 * Reads a key file: an Ed25519 private key as PKCS#8 PEM, which only its owner may read.
 * @throws ConfigError `unreadable_file` (missing, not permitted, not a file), `key_file_permissions` (group or others have
 * access; not checked on Windows) or `bad_key` (no Ed25519 key in it); each names the path.
 */
export async function loadIdentityFile(path: string): Promise<Identity> {
  const pem = await readKeyFile(path);
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
  let file: FileHandle;
  try {
    file = await open(path, "wx", 0o600);
  } catch (error) {
    if (systemCode(error) === "EEXIST") {
      throw new ConfigError("already_exists", `${path} exists and is not overwritten`, {
        data: { path },
        cause: error,
      });
    }
    throw unwritable(path, error);
  }
  try {
    await file.writeFile(pem);
    await file.sync();
  } catch (error) {
    await unlink(path).catch(() => undefined);
    throw unwritable(path, error);
  } finally {
    await file.close();
  }
}

async function readKeyFile(path: string): Promise<Buffer> {
  let file: FileHandle | undefined;
  try {
    // Without O_NONBLOCK, opening a FIFO would wait for a writer. Windows has no such flag.
    const nonBlocking = process.platform === "win32" ? 0 : constants.O_NONBLOCK;
    file = await open(path, constants.O_RDONLY | nonBlocking);
    const stat = await file.stat();
    if (!stat.isFile()) throw new Error("not a regular file");
    if (process.platform !== "win32" && (stat.mode & 0o077) !== 0) {
      const mode = (stat.mode & 0o777).toString(8).padStart(4, "0");
      throw new ConfigError(
        "key_file_permissions",
        `${path} has mode ${mode}, so others than its owner can use the key; run: chmod 600 ${quoted(path)}`,
        { data: { path, mode } },
      );
    }
    const buffer = Buffer.alloc(maxKeyFileBytes);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    if (error instanceof CulvertError) throw error;
    const reason = systemCode(error) === "ENOENT" ? "no such file" : errorText(error);
    throw new ConfigError("unreadable_file", `cannot read the key file ${path}: ${reason}`, {
      data: { path },
      cause: error,
    });
  } finally {
    await file?.close();
  }
}

function unwritable(path: string, error: unknown): ConfigError {
  return new ConfigError(
    "unwritable_file",
    `cannot write the key file ${path}: ${errorText(error)}`,
    {
      data: { path },
      cause: error,
    },
  );
}

/** The path as a POSIX shell takes it. */
function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}

/** An Ed25519 key file has 119 bytes; comments before the PEM block are allowed. */
const maxKeyFileBytes = 16 * 1024;
