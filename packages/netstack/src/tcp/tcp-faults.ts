import { TransportError } from "@culvert/runtime";

/** The peer answered SYN with RST. */
export function refusedByPeer(): TransportError {
  return new TransportError("refused", "the peer refused the connection");
}

/** The peer sent RST. */
export function resetByPeer(): TransportError {
  return new TransportError("stream_reset", "the peer reset the connection");
}

/** ICMP said "destination unreachable", with one of its codes. */
export function unreachablePeer(code: number): TransportError {
  return new TransportError("dial_failed", `the network says unreachable, code ${code}`, {
    data: { code },
  });
}

/** Something was waited for in vain. */
export function timedOut(text: string): TransportError {
  return new TransportError("timeout", text);
}
