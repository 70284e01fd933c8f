/** The states of a connection (RFC 9293 §3.3.2). LISTEN is the business of listeners. */
export type TcpState =
  | "syn-sent"
  | "syn-received"
  | "established"
  | "fin-wait-1"
  | "fin-wait-2"
  | "close-wait"
  | "closing"
  | "last-ack"
  | "time-wait"
  | "closed";

/** Whether the handshake is over and data that arrives is taken: our peer has not sent FIN yet (RFC 9293 §3.10.7.4). */
export function mayReceive(state: TcpState): boolean {
  return state === "established" || state === "fin-wait-1" || state === "fin-wait-2";
}

/** Whether bytes or FIN of ours may be under way. */
export function maySend(state: TcpState): boolean {
  return (
    state === "established" ||
    state === "close-wait" ||
    state === "fin-wait-1" ||
    state === "closing" ||
    state === "last-ack"
  );
}

/** Whether the peer has to be told by RST that the connection is no more (RFC 9293 §3.10.5). */
export function isKnownToPeer(state: TcpState): boolean {
  return state !== "closed" && state !== "syn-sent" && state !== "time-wait";
}
