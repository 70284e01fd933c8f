import { readFile, stat } from "node:fs/promises";
import { createSecureContext, type SecureContext } from "node:tls";
import { ConfigError, errorText } from "@culvert/runtime";
import type { CertificateFiles } from "./expose-rule.ts";

/**
 * A certificate and key from files, read again when either has changed, as after a renewal. A new pair that cannot be used is
 * reported once, and the old one goes on serving.
 */
export class CertificateSource {
  readonly #files: CertificateFiles;
  readonly #onFault: (text: string) => void;
  #loaded: { readonly version: string; readonly context: SecureContext } | undefined;
  #refused: string | undefined;
  #loading: Promise<SecureContext> | undefined;

  constructor(files: CertificateFiles, onFault: (text: string) => void) {
    this.#files = files;
    this.#onFault = onFault;
  }

  /**
   * The pair as it is now; concurrent calls share one look at the files.
   * @throws ConfigError `unreadable_file` or `bad_key` where there is none that works.
   */
  context(): Promise<SecureContext> {
    this.#loading ??= this.#current().finally(() => (this.#loading = undefined));
    return this.#loading;
  }

  async #current(): Promise<SecureContext> {
    let version = "unreadable";
    try {
      version = await this.#version();
      if (
        this.#loaded !== undefined &&
        (this.#loaded.version === version || this.#refused === version)
      ) {
        return this.#loaded.context;
      }
      const context = await this.#load();
      this.#loaded = { version, context };
      this.#refused = undefined;
      return context;
    } catch (error) {
      if (this.#refused !== version) this.#onFault(errorText(error));
      this.#refused = version;
      if (this.#loaded !== undefined) return this.#loaded.context;
      throw error;
    }
  }

  async #version(): Promise<string> {
    const { certFile, keyFile } = this.#files;
    const stamps = await Promise.all([certFile, keyFile].map(stampOf));
    return stamps.join(" ");
  }

  async #load(): Promise<SecureContext> {
    const { certFile, keyFile } = this.#files;
    const [cert, key] = await Promise.all([certFile, keyFile].map(readPem));
    try {
      return createSecureContext({ cert, key });
    } catch (error) {
      throw new ConfigError("bad_key", `${certFile} and ${keyFile}: ${errorText(error)}`, {
        cause: error,
      });
    }
  }
}

async function stampOf(file: string): Promise<string> {
  try {
    const { mtimeMs, size, ino } = await stat(file);
    return `${mtimeMs}-${size}-${ino}`;
  } catch (error) {
    throw unreadable(file, error);
  }
}

async function readPem(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(file: string, error: unknown): ConfigError {
  return new ConfigError("unreadable_file", `${file}: ${errorText(error)}`, { cause: error });
}
