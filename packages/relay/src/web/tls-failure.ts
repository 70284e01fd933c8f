import { systemCode } from "@culvert/runtime";
import type { PublicRefusal } from "./metrics.ts";

/**
 * What a TLS handshake that failed is counted and logged as. OpenSSL's whole text is left out: it names addresses and files of this
 * build. What is left is short and printable, whatever it was made from.
 */
export function tlsFailure(error: Error): {
  readonly reason: PublicRefusal;
  readonly text: string;
} {
  const code = systemCode(error);
  if (code === "ERR_TLS_HANDSHAKE_TIMEOUT") {
    return { reason: "slow_tls", text: "the handshake took too long" };
  }
  const { reason } = error as { readonly reason?: unknown };
  const said = typeof reason === "string" && reason !== "" ? reason : code;
  return { reason: "tls_failed", text: printable(said ?? "the handshake failed") };
}

function printable(text: string): string {
  return text.slice(0, mostText).replace(/[^\x20-\x7e]/g, "?");
}

const mostText = 100;
