import { readFileSync } from "node:fs";
import { waitUntil } from "./wait.ts";

/** Waits until some process of this machine listens on a TCP port, without connecting to it: `nc -l` takes only one. */
export async function listening(port: number, ms = 5_000): Promise<void> {
  await waitUntil(`a listener on port ${port}`, () => isListening(port), { withinMs: ms });
}

function isListening(port: number): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  // proc(5): local address, then remote address, then state; 0A is LISTEN.
  const entry = new RegExp(`:${hex} [0-9A-F]+:0000 0A `);
  return ["/proc/net/tcp", "/proc/net/tcp6"].some((table) => {
    try {
      return entry.test(readFileSync(table, "utf8"));
    } catch {
      return false;
    }
  });
}
