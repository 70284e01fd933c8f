import { execFile, spawnSync } from "node:child_process";

/** Whether the real curl is on this machine. */
export const hasCurl = spawnSync("curl", ["--version"]).status === 0;

/** What a run of curl came to. */
export interface CurlResult {
  readonly exitCode: number;
  readonly output: string;
  /** The proxy's status of a CONNECT; 0 without one. */
  readonly connectStatus: number;
}

/** Runs the real curl, without the user's own settings and proxies. */
export function curl(...args: readonly string[]): Promise<CurlResult> {
  const fixed = ["-q", "--silent", "--show-error", "--max-time", "10", "--noproxy", ""];
  const format = ["--write-out", "\n%{http_connect}"];
  return new Promise((resolve) => {
    execFile("curl", [...fixed, ...format, ...args], (error, stdout) => {
      const cut = stdout.lastIndexOf("\n");
      resolve({
        exitCode: typeof error?.code === "number" ? error.code : 0,
        output: stdout.slice(0, cut),
        connectStatus: Number(stdout.slice(cut + 1)),
      });
    });
  });
}
