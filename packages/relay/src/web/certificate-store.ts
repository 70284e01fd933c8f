import { X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import { ConfigError, errorText } from "@culvert/runtime";

/** A certificate chain and its key, PEM. The key is secret. */
export interface CertificatePem {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/** A certificate in use. */
export interface StoredCertificate {
  readonly pem: CertificatePem;
  readonly context: SecureContext;
  /** The DNS names it is for, lower case; `*.` and a name for those one label below. */
  readonly names: readonly string[];
  readonly notBeforeMs: number;
  /** Wall-clock time of its end, milliseconds since 1970. */
  readonly notAfterMs: number;
}

/**
 * Reads a certificate chain and its key.
 * @throws ConfigError `bad_key` where either cannot be used, or they do not belong together.
 */
export function readCertificate(pem: CertificatePem): StoredCertificate {
  const { certificatePem, privateKeyPem } = pem;
  try {
    const certificate = new X509Certificate(certificatePem);
    const context = createSecureContext({
      cert: certificatePem,
      key: privateKeyPem,
      minVersion: "TLSv1.2",
    });
    return {
      pem,
      context,
      names: dnsNames(certificate.subjectAltName),
      notBeforeMs: Date.parse(certificate.validFrom),
      notAfterMs: Date.parse(certificate.validTo),
    };
  } catch (error) {
    throw new ConfigError("bad_key", `not a certificate and its key: ${errorText(error)}`, {
      cause: error,
    });
  }
}

/** The certificates TLS is ended with, each under a key of its owner's choice, found by the names they are for. */
export class CertificateStore {
  /** What is shown where no other certificate fits. */
  readonly fallback: StoredCertificate;
  readonly #byKey = new Map<string, StoredCertificate>();
  #byName: ReadonlyMap<string, StoredCertificate> = new Map();
  #onChange: (() => void) | undefined;

  constructor(fallback: StoredCertificate) {
    this.fallback = fallback;
  }

  /** Wall-clock time at which the first certificate ends; undefined where there is none but the fallback. */
  get firstEndMs(): number | undefined {
    const ends = [...this.#byKey.values()].map(({ notAfterMs }) => notAfterMs);
    return ends.length === 0 ? undefined : Math.min(...ends);
  }

  /** Calls back after every change; for one listener. */
  onChange(callback: () => void): void {
    this.#onChange = callback;
  }

  /** Adds a certificate, in place of the one that had this key. */
  set(key: string, certificate: StoredCertificate): void {
    this.#byKey.set(key, certificate);
    this.#index();
    this.#onChange?.();
  }

  /** Whether a certificate of a key that passes the test is for a name. */
  has(name: string, of: (key: string) => boolean): boolean {
    const wildcard = `*${name.slice(name.indexOf("."))}`;
    for (const [key, { names }] of this.#byKey) {
      if (of(key) && (names.includes(name) || names.includes(wildcard))) return true;
    }
    return false;
  }

  /** The certificate for a name in lower case: by the name itself before a wildcard. */
  find(name: string): StoredCertificate | undefined {
    return this.#byName.get(name) ?? this.#byName.get(`*${name.slice(name.indexOf("."))}`);
  }

  /** Of several for one name the one that lasts longest is shown. */
  #index(): void {
    const byName = new Map<string, StoredCertificate>();
    for (const certificate of this.#byKey.values()) {
      for (const name of certificate.names) {
        const before = byName.get(name);
        if (before === undefined || before.notAfterMs < certificate.notAfterMs) {
          byName.set(name, certificate);
        }
      }
    }
    this.#byName = byName;
  }
}

function dnsNames(subjectAltName: string | undefined): string[] {
  return (subjectAltName ?? "")
    .split(", ")
    .filter((entry) => entry.startsWith("DNS:"))
    .map((entry) => entry.slice("DNS:".length).toLowerCase());
}
