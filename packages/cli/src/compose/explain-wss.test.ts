import { TransportError } from "@culvert/runtime";
import { expect, test } from "vitest";
import { explainWss } from "./explain-wss.ts";

const withCode = (code: string): Error => Object.assign(new Error("x"), { code });

test.each([
  [new TransportError("wrong_peer", "met another"), "relay.id must be the id"],
  [
    new TransportError("handshake_failed", "x", { data: { reason: "bad_proof" } }),
    "relay.behindProxy: true",
  ],
  [
    new TransportError("handshake_failed", "x", { data: { reason: "no_common_binding" } }),
    "relay.behindProxy must be true exactly where",
  ],
  [
    new TransportError("handshake_failed", "no TLS with x", {
      cause: withCode("ERR_TLS_CERT_ALTNAME_INVALID"),
    }),
    "relay.wss must have a name that the certificate is for",
  ],
  [
    new TransportError("handshake_failed", "no TLS with x", {
      cause: withCode("CERT_HAS_EXPIRED"),
    }),
    "relay.caFile names the authorities",
  ],
  [
    new TransportError("handshake_failed", "no WebSocket: Unexpected server response: 404"),
    "nothing there takes Culvert sessions",
  ],
  [
    new TransportError("handshake_failed", "no TLS with x: wrong version", {
      cause: withCode("ERR_SSL_WRONG_VERSION_NUMBER"),
    }),
    "by a name that is the relay's own (web.names)",
  ],
  [new TransportError("dial_failed", "no connection"), "only where its web.https says so"],
])("%s: the user reads what to do", (error, advice) => {
  const explained = explainWss(error);
  expect(explained).toMatchObject({ code: error.code, data: error.data, cause: error });
  expect(explained.message.startsWith(`${error.message} (`)).toBe(true);
  expect(explained.message).toContain(advice);
});

test("what has no advice stays as it is", () => {
  for (const error of [new TransportError("aborted", "x"), new Error("x")]) {
    expect(explainWss(error)).toBe(error);
  }
  expect(explainWss("x")).toMatchObject({ message: "x" });
});
