import { readFile, stat } from "node:fs/promises";
import {
  ConfigError,
  CulvertError,
  errorText,
  millis,
  type Clock,
  type Timer,
} from "@culvert/runtime";
import type { Log } from "@culvert/telemetry";
import { readCertificate, type CertificateStore } from "./certificate-store.ts";
import type { PublicMetrics } from "./metrics.ts";
import type { CertificateFiles } from "./web-options.ts";

/** What the watch works with. */
export interface CertificateFilesDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: PublicMetrics;
  readonly store: CertificateStore;
}

/**
 * Keeps certificates of files in the store: read at the start, and again within 10 seconds of a change. Files that cannot be used
 * later, such as a certificate that was replaced before its key, leave the one before in use.
 */
export class CertificateFilesWatch {
  readonly #deps: CertificateFilesDeps;
  readonly #files: readonly CertificateFiles[];
  readonly #seen = new Map<CertificateFiles, string>();
  #timer: Timer | undefined;
  #closed = false;

  constructor(deps: CertificateFilesDeps, files: readonly CertificateFiles[]) {
    this.#deps = deps;
    this.#files = files;
  }

  /**
   * Reads all files and begins to watch them.
   * @throws ConfigError `unreadable_file` or `bad_key`, naming the file.
   */
  async start(): Promise<void> {
    for (const files of this.#files) await this.#load(files, await fingerprint(files));
    this.#schedule();
  }

  /** Stops watching. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  /** Looks at all files now. Never rejects. */
  async look(): Promise<void> {
    for (const files of this.#files) {
      try {
        const mark = await fingerprint(files);
        if (this.#seen.get(files) !== mark) await this.#load(files, mark);
      } catch (error) {
        this.#deps.metrics.certificates.inc({ source: "file", result: "failed" });
        this.#deps.log.warn("relay.certificate.failed", {
          file: files.certFile,
          reason: errorText(error),
        });
      }
    }
  }

  #schedule(): void {
    if (this.#closed || this.#files.length === 0) return;
    this.#timer = this.#deps.clock.setTimer(
      lookInterval,
      () => void this.look().then(() => this.#schedule()),
      { unref: true },
    );
  }

  async #load(files: CertificateFiles, mark: string): Promise<void> {
    const { log, metrics, store } = this.#deps;
    const { certFile, keyFile } = files;
    try {
      const certificatePem = await read(certFile);
      const certificate = readCertificate({ certificatePem, privateKeyPem: await read(keyFile) });
      store.set(`file ${certFile}`, certificate);
      this.#seen.set(files, mark);
      metrics.certificates.inc({ source: "file", result: "ok" });
      const { names, notAfterMs } = certificate;
      log.info("relay.certificate.loaded", {
        file: certFile,
        names,
        notAfter: new Date(notAfterMs).toISOString(),
      });
    } catch (error) {
      if (!(error instanceof CulvertError) || error.code !== "bad_key") throw error;
      throw new ConfigError("bad_key", `${certFile} and ${keyFile}: ${error.message}`);
    }
  }
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw unreadable(file, error);
  }
}

/** Changes when either file does. */
async function fingerprint({ certFile, keyFile }: CertificateFiles): Promise<string> {
  const marks = [];
  for (const file of [certFile, keyFile]) {
    try {
      const { ino, size, mtimeMs } = await stat(file);
      marks.push(ino, size, mtimeMs);
    } catch (error) {
      throw unreadable(file, error);
    }
  }
  return marks.join(" ");
}

function unreadable(file: string, error: unknown): ConfigError {
  const text = `cannot read ${file}: ${errorText(error)}`;
  return new ConfigError("unreadable_file", text, { cause: error });
}

const lookInterval = millis(10_000);
