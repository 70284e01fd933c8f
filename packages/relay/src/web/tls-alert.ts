/** Alerts a relay sends where it cannot end TLS itself (RFC 8446 §6.2). */
export const TlsAlert = {
  /** The bytes were no ClientHello. */
  decodeError: 50,
  /** Nobody can be reached under that name now. */
  internalError: 80,
  /** Nobody serves that name (RFC 6066 §3). */
  unrecognizedName: 112,
} as const;

/** A fatal alert in clear, as it may stand in place of a ServerHello. */
export function tlsAlert(description: (typeof TlsAlert)[keyof typeof TlsAlert]): Uint8Array {
  return Uint8Array.of(alertRecord, 3, 3, 0, 2, fatal, description);
}

const alertRecord = 21;
const fatal = 2;
