import { expect, it } from "vitest";
import { tlsFailure } from "./tls-failure.ts";

it("a failed handshake is told by OpenSSL's reason, or by its code, and not by the text of either", () => {
  const message =
    "80C0F1F7:error:0A0000C1:SSL routines:tls_post_process_client_hello:no shared cipher:../deps/openssl/ssl/statem/statem_srvr.c:2241:\n";
  const code = "ERR_SSL_NO_SHARED_CIPHER";
  expect(
    tlsFailure(Object.assign(new Error(message), { code, reason: "no shared cipher" })),
  ).toEqual({ reason: "tls_failed", text: "no shared cipher" });
  expect(tlsFailure(Object.assign(new Error(message), { code }))).toEqual({
    reason: "tls_failed",
    text: code,
  });
  expect(tlsFailure(new Error(message)).text).toBe("the handshake failed");
});

it("a handshake that took too long is known by its code, and not by words that others may use", () => {
  const late = Object.assign(new Error("x"), { code: "ERR_TLS_HANDSHAKE_TIMEOUT" });
  expect(tlsFailure(late).reason).toBe("slow_tls");
  expect(tlsFailure(new Error("timeout")).reason).toBe("tls_failed");
});

it("what is told is short and printable", () => {
  const reason = `\u001b[2J\n${"x".repeat(500)}\u0000é`;
  const { text } = tlsFailure(Object.assign(new Error("x"), { reason }));
  expect(text).toMatch(/^[\x20-\x7e]{1,100}$/);
});
