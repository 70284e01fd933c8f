import { readFile } from "node:fs/promises";
import type { EngineWarning } from "../engine.ts";

/**
 * Finds out whether the kernel gives a listener less socket buffer than wanted. The addon leaves a listener's socket at the
 * kernel's default, so the default is what must be raised. Linux only; undefined where it cannot be known.
 */
export async function smallBufferWarning(wantedBytes: number): Promise<EngineWarning | undefined> {
  if (process.platform !== "linux") return undefined;
  const text = await readFile(setting.path, "ascii").catch(() => "");
  const givenBytes = Number.parseInt(text, 10);
  if (!Number.isFinite(givenBytes) || givenBytes >= wantedBytes) return undefined;
  return {
    code: "udp_buffer_small",
    text:
      `UDP sockets of listeners get ${givenBytes} bytes of receive buffer where ${wantedBytes} are wanted, which costs ` +
      `speed under load; to raise it: sysctl -w ${setting.name}=${wantedBytes}`,
    data: { givenBytes, wantedBytes, sysctl: setting.name },
  };
}

const setting = { name: "net.core.rmem_default", path: "/proc/sys/net/core/rmem_default" };
