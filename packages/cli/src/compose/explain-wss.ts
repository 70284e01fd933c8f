import { errorText, systemCode, TransportError } from "@culvert/runtime";

/** The same error, with what the user can do about it where that is known. */
export function explainWss(error: unknown): Error {
  const plain = error instanceof Error ? error : new Error(errorText(error));
  const advice = adviceFor(plain);
  if (advice === undefined || !(plain instanceof TransportError)) return plain;
  return new TransportError(plain.code, `${plain.message} (${advice})`, {
    data: plain.data,
    cause: plain,
  });
}

function adviceFor(error: Error): string | undefined {
  if (!(error instanceof TransportError)) return undefined;
  const { code, data, message } = error;
  const reason = data["reason"];
  if (code === "wrong_peer") return "relay.id must be the id of the relay at relay.wss";
  if (reason === "bad_proof") {
    return "if a proxy ends TLS before the relay, set relay.behindProxy: true";
  }
  if (reason === "no_common_binding") {
    return "relay.behindProxy must be true exactly where a proxy ends TLS before the relay";
  }
  const failure = systemCode(error.cause);
  if (failure === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return "relay.wss must have a name that the certificate is for";
  }
  if (failure !== undefined && untrusted.has(failure)) {
    return "relay.caFile names the authorities to trust instead of the system's";
  }
  if (/Unexpected server response: /.test(message)) {
    return "nothing there takes Culvert sessions; relay.wss must lead to web.https of the relay";
  }
  if (/^no TLS with /.test(message)) {
    return "relay.wss must lead to web.https of the relay, by a name that is the relay's own (web.names)";
  }
  if (code === "dial_failed") {
    return "the relay listens there only where its web.https says so; relay.wss is where it does";
  }
  return undefined;
}

const untrusted: ReadonlySet<string> = new Set([
  "CERT_HAS_EXPIRED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);
