import { createSecretKey, type KeyObject } from "node:crypto";
import { readPrivateFile, writePrivateFile } from "@culvert/identity";
import { ConfigError, systemCode, type Random } from "@culvert/runtime";

/**
 * Reads the secret that HS256 tokens are signed with: one line of text in a file that only its owner may read. The bytes of the line
 * are the key, as Telebit relays have it, so an existing relay's secret can be used on.
 * @throws ConfigError `unreadable_file`, `key_file_permissions`, or `bad_key` if it is too short to withstand guessing.
 */
export async function loadSecretFile(path: string): Promise<KeyObject> {
  const content = await readSecret(path);
  try {
    const line = content.toString("latin1").trim();
    if (line.length < minSecretBytes || /\s/.test(line)) {
      throw new ConfigError(
        "bad_key",
        `${path} holds no secret: one line of at least ${minSecretBytes} characters is needed`,
        { data: { path } },
      );
    }
    return createSecretKey(Buffer.from(line, "latin1"));
  } finally {
    content.fill(0);
  }
}

async function readSecret(path: string): Promise<Buffer> {
  try {
    return await readPrivateFile(path, "secret file");
  } catch (error) {
    if (!(error instanceof ConfigError) || systemCode(error.cause) !== "ENOENT") throw error;
    const text = `${error.message}; culvert token makes it together with the first token`;
    throw new ConfigError("unreadable_file", text, { data: error.data, cause: error });
  }
}

/**
 * Makes a secret and writes it to a new file that only its owner may read (mode 0600). Never overwrites.
 * @throws ConfigError `already_exists` or `unwritable_file`.
 */
export async function createSecretFile(path: string, random: Random): Promise<KeyObject> {
  const line = Buffer.from(random.bytes(madeSecretBytes)).toString("hex");
  await writePrivateFile(path, "secret file", `${line}\n`);
  return createSecretKey(Buffer.from(line, "latin1"));
}

/** What RFC 7518 §3.2 asks of an HS256 key, and what the real relay makes: 16 random bytes in hexadecimal. */
const minSecretBytes = 32;
const madeSecretBytes = 32;
