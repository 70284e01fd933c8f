import { mkdir, rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import { readPrivateFile, writePrivateFile } from "@culvert/identity";
import { ConfigError, errorText, systemCode } from "@culvert/runtime";
import type { CertificatePem } from "../certificate-store.ts";

/**
 * What ACME leaves behind: the account's key and a certificate with its key for each name, in a folder for each ACME server, so that
 * certificates of one for tests are never taken for another's. Folders have mode 0700 and files 0600.
 */
export class AcmeState {
  readonly #folder: string;

  /** `directory` is the URL of the ACME server's directory. */
  constructor(stateDir: string, directory: string) {
    const { host } = new URL(directory);
    this.#folder = join(stateDir, host.replace(":", "_").replace(/[^a-zA-Z0-9._-]/g, ""));
  }

  /**
   * The account's key, made by `create` the first time.
   * @throws ConfigError where it cannot be read or written, or others can read it.
   */
  async accountKey(create: () => Promise<string>): Promise<string> {
    const path = join(this.#folder, "account.key");
    await this.#makeFolder();
    try {
      return (await readPrivateFile(path, "ACME account key")).toString("utf8");
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    const key = await create();
    await writePrivateFile(path, "ACME account key", key);
    return key;
  }

  /**
   * The certificate kept for a name, unjudged; undefined where there is none.
   * @throws ConfigError where it cannot be read, or others can read its key.
   */
  async load(name: string): Promise<CertificatePem | undefined> {
    try {
      const text = (await readPrivateFile(this.#path(name), "certificate")).toString("utf8");
      const keyAt = text.indexOf("-----BEGIN PRIVATE KEY-----");
      return { certificatePem: text.slice(0, keyAt), privateKeyPem: text.slice(keyAt) };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /**
   * Keeps a certificate for a name, whole or not at all.
   * @throws ConfigError `unwritable_file`.
   */
  async save(name: string, { certificatePem, privateKeyPem }: CertificatePem): Promise<void> {
    const path = this.#path(name);
    const fresh = `${path}.new`;
    await this.#makeFolder();
    try {
      await unlink(fresh).catch(() => undefined);
      await writePrivateFile(fresh, "certificate", `${certificatePem.trim()}\n${privateKeyPem}`);
      await rename(fresh, path);
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      throw unwritable(path, error);
    }
  }

  /** One file for both: two could be of different ages after a crash. */
  #path(name: string): string {
    return join(this.#folder, `${name}.pem`);
  }

  async #makeFolder(): Promise<void> {
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw unwritable(this.#folder, error);
    }
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof ConfigError && systemCode(error.cause) === "ENOENT";
}

function unwritable(path: string, error: unknown): ConfigError {
  const text = `cannot write ${path}: ${errorText(error)}`;
  return new ConfigError("unwritable_file", text, { data: { path }, cause: error });
}
