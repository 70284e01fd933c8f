import { errorText } from "@culvert/runtime";

/**
 * What an error of the binding means. quiche tells its errors by the text of its Rust enum; this file is the only one that looks
 * at it.
 */
export type QuicheFault =
  /** The peer reset the stream (RESET_STREAM, RFC 9000 §19.4). */
  | { readonly kind: "reset"; readonly code: number }
  /** The peer wants no more of the stream (STOP_SENDING, RFC 9000 §19.5). */
  | { readonly kind: "stopped"; readonly code: number }
  /** The stream does not exist, or not any more. */
  | { readonly kind: "no_stream" }
  /** The peer allows no more streams now. */
  | { readonly kind: "stream_limit" }
  /** The TLS handshake failed. */
  | { readonly kind: "tls" }
  /** Anything else; `text` is quiche's own word for it. */
  | { readonly kind: "other"; readonly text: string };

/** Reads an error thrown by the binding. */
export function quicheFault(error: unknown): QuicheFault {
  const text = errorText(error);
  const match = /^(\w+)(?:\((\d+)\))?$/.exec(text);
  const code = Number(match?.[2] ?? 0);
  switch (match?.[1]) {
    case "StreamReset":
      return { kind: "reset", code };
    case "StreamStopped":
      return { kind: "stopped", code };
    case "InvalidStreamState":
    case "Done":
      return { kind: "no_stream" };
    case "StreamLimit":
      return { kind: "stream_limit" };
    case "TlsFail":
      return { kind: "tls" };
    default:
      return { kind: "other", text };
  }
}
