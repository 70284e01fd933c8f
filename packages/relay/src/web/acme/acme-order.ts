import { generateKeyPair } from "node:crypto";
import { promisify } from "node:util";
import { TransportError, withDeadline, errorText, millis, type Clock } from "@culvert/runtime";
import type { CertificatePem } from "../certificate-store.ts";
import type { AcmeOptions } from "../web-options.ts";
import type { AcmeState } from "./acme-state.ts";

/** Gets a certificate for one name. */
export type OrderCertificate = (name: string) => Promise<CertificatePem>;

/** What ordering works with. */
export interface AcmeOrderDeps {
  readonly clock: Clock;
  readonly state: AcmeState;
  /** The answers to challenges that stand open, by token. */
  readonly challenges: Map<string, string>;
}

/**
 * Orders certificates by ACME (RFC 8555), proving names by http-01 at the relay's plain HTTP listener. Each order ends within five
 * minutes.
 * @throws TransportError `refused` or `timeout`, saying what the server said; ConfigError where the state cannot be used.
 */
export function acmeOrders(deps: AcmeOrderDeps, options: AcmeOptions): OrderCertificate {
  return (name) =>
    withDeadline({ clock: deps.clock, limit: orderLimit, what: `a certificate for ${name}` }, () =>
      order(deps, options, name),
    );
}

async function order(
  { state, challenges }: AcmeOrderDeps,
  { directory, email }: AcmeOptions,
  name: string,
): Promise<CertificatePem> {
  // Loaded where it is needed: most relays have certificates of their own.
  const { default: acme } = await import("acme-client");
  // The library would ask again by itself, as often and as late as the server says, when the order has long been given up here. When
  // to ask again is for whoever ordered to decide.
  const { defaults } = acme.axios as unknown as {
    readonly defaults: { readonly acmeSettings: { retryMaxAttempts: number } };
  };
  defaults.acmeSettings.retryMaxAttempts = 0;
  const accountKey = await state.accountKey(newKey);
  const privateKeyPem = await newKey();
  const opened: string[] = [];
  try {
    const client = new acme.Client({ directoryUrl: directory, accountKey });
    const [, csr] = await acme.crypto.createCsr(
      { commonName: name, altNames: [name] },
      privateKeyPem,
    );
    const certificatePem = await client.auto({
      csr,
      ...(email === undefined ? {} : { email }),
      termsOfServiceAgreed: true,
      // Whether the name leads here from outside is for the server to find out; from inside it often does not.
      skipChallengeVerification: true,
      challengePriority: ["http-01"],
      challengeCreateFn: (_authorization, challenge, keyAuthorization) => {
        if (challenge.type !== "http-01") {
          throw new TransportError("refused", `no http-01 is offered for ${name}`);
        }
        challenges.set(challenge.token, keyAuthorization);
        opened.push(challenge.token);
        return Promise.resolve();
      },
      challengeRemoveFn: (_authorization, challenge) => {
        challenges.delete(challenge.token);
        return Promise.resolve();
      },
    });
    return { certificatePem, privateKeyPem };
  } catch (error) {
    // The library stumbles over an answer that never came, and loses why.
    const reason = error instanceof TypeError ? `${directory} does not answer` : errorText(error);
    throw new TransportError("refused", `no certificate for ${name}: ${reason}`, {
      cause: error,
    });
  } finally {
    for (const token of opened) challenges.delete(token);
  }
}

async function newKey(): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

const orderLimit = millis(300_000);
