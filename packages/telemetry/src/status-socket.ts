import { createHash } from "node:crypto";
import { ConfigError } from "@culvert/runtime";

/**
 * The address a status socket has in Node's terms: the path itself, or on Windows a named pipe whose name follows from the path.
 * @throws ConfigError `bad_config` where the path is longer than a Unix socket address can hold.
 */
export function statusAddress(path: string, platform: NodeJS.Platform = process.platform): string {
  if (platform === "win32") {
    const digest = createHash("sha256").update(path.toLowerCase()).digest("hex").slice(0, 32);
    return `\\\\.\\pipe\\culvert-${digest}`;
  }
  // sun_path holds 108 bytes on Linux and 104 elsewhere, the final NUL included.
  const limit = platform === "linux" ? 107 : 103;
  const length = Buffer.byteLength(path);
  if (length > limit) {
    throw new ConfigError(
      "bad_config",
      `control.socket: the path ${path} has ${length} bytes, but a Unix socket can have at most ${limit}; set a shorter one`,
      { data: { path, length, limit } },
    );
  }
  return path;
}
