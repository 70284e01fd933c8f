import { constants } from "node:fs";
import { open, unlink, type FileHandle } from "node:fs/promises";
import { resolve } from "node:path";
import { CulvertError, ConfigError, errorText, systemCode } from "@culvert/runtime";

/**
 * Reads a file that only its owner may read. `what` names it in errors: `key file`. A credential that systemd hands to a service
 * (systemd.exec(5), LoadCredential) may have the bits of a group.
 * @throws ConfigError `unreadable_file` (missing, not permitted, not a file) or `key_file_permissions` (group or others have
 * access; not checked on Windows); each names the path.
 */
export async function readPrivateFile(path: string, what: string): Promise<Buffer> {
  let file: FileHandle | undefined;
  try {
    // Without O_NONBLOCK, opening a FIFO would wait for a writer. Windows has no such flag.
    const nonBlocking = process.platform === "win32" ? 0 : constants.O_NONBLOCK;
    file = await open(path, constants.O_RDONLY | nonBlocking);
    const stat = await file.stat();
    if (!stat.isFile()) throw new Error("not a regular file");
    if (process.platform !== "win32" && (stat.mode & strangers(path)) !== 0) {
      const mode = (stat.mode & 0o777).toString(8).padStart(4, "0");
      throw new ConfigError(
        "key_file_permissions",
        `${path} has mode ${mode}, so others than its owner can use the key; run: chmod 600 ${quoted(path)}`,
        { data: { path, mode } },
      );
    }
    const buffer = Buffer.alloc(maxFileBytes);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    if (error instanceof CulvertError) throw error;
    const reason = systemCode(error) === "ENOENT" ? "no such file" : errorText(error);
    throw new ConfigError("unreadable_file", `cannot read the ${what} ${path}: ${reason}`, {
      data: { path },
      cause: error,
    });
  } finally {
    await file?.close();
  }
}

/**
 * Writes a new file that only its owner may read (mode 0600). Never overwrites. `what` names it in errors.
 * @throws ConfigError `already_exists` or `unwritable_file`, naming the path.
 */
export async function writePrivateFile(
  path: string,
  what: string,
  content: string | Uint8Array,
): Promise<void> {
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
    throw unwritable(path, what, error);
  }
  try {
    await file.writeFile(content);
    await file.sync();
  } catch (error) {
    await unlink(path).catch(() => undefined);
    throw unwritable(path, what, error);
  } finally {
    await file.close();
  }
}

function unwritable(path: string, what: string, error: unknown): ConfigError {
  return new ConfigError(
    "unwritable_file",
    `cannot write the ${what} ${path}: ${errorText(error)}`,
    { data: { path }, cause: error },
  );
}

/**
 * The mode bits that let others in. systemd lets the user of a service read its credentials by an access list, whose mask shows in
 * place of the group's bits (0440); only root can put files there.
 */
function strangers(path: string): number {
  return resolve(path).startsWith(credentialsFolder) ? 0o037 : 0o077;
}

/** The path as a POSIX shell takes it. */
function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}

const credentialsFolder = "/run/credentials/";

/** An Ed25519 key file has 119 bytes and a secret some dozens; comments are allowed. */
const maxFileBytes = 16 * 1024;
