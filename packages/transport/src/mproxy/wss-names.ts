/** Where a relay takes sessions by WebSocket (RFC 8615 keeps the folder for such things). */
export const sessionPath = "/.well-known/culvert/session";

/** What is spoken on the WebSocket of a session. */
export const sessionSubprotocol = "culvert.mproxy.1";
