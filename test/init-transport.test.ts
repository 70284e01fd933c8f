import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { EndServerStatus } from "@culvert/end-server-proxy";
import { queryStatus } from "@culvert/telemetry";
import { describe, expect, it, onTestFailed, onTestFinished } from "vitest";
import { culvert } from "./support/culvert.ts";
import { startDaemon } from "./support/daemon.ts";
import { freePort } from "./support/ports.ts";
import { echoOnce, echoServer } from "./support/tcp.ts";
import { endWithTest, useTempFolder } from "./support/temp-folder.ts";
import { waitUntil } from "./support/wait.ts";

/** What a user has who runs `culvert init` with these flags and then what it says. */
async function useTrialAsWritten(flags: readonly string[]): Promise<{
  readonly ready: string;
  readonly web: number;
  readonly listen: number;
  /** What carries the session of a daemon. */
  readonly carrier: (role: "server" | "client") => Promise<string | undefined>;
}> {
  const folder = join(await useTempFolder(), "trial");
  const [relay, listen] = [await freePort([10, 11]), await freePort()];
  const echo = await echoServer(0);
  onTestFinished(() => echo.close());
  const ports = { "--relay-port": relay, "--listen-port": listen, "--target-port": echo.port };
  const made = await culvert([
    "init",
    folder,
    ...Object.entries(ports).flat().map(String),
    ...flags,
  ]);
  expect(made).toMatchObject({ code: 0, stderr: "" });
  let ready = "";
  for (const role of ["relay", "server", "client"] as const) {
    const daemon = await startDaemon(role, join(folder, `${role}.yaml`), { cwd: folder });
    endWithTest(daemon.child);
    onTestFailed(() => {
      console.error(daemon.log());
    });
    if (role === "relay") ready = daemon.lines[0] ?? "";
  }
  return {
    ...{ ready, web: relay + 11, listen },
    carrier: async (role) => {
      const { link } = (await queryStatus(join(folder, `${role}.sock`))) as EndServerStatus;
      return link.session?.transport;
    },
  };
}

describe("culvert init --transport", () => {
  it.each([
    [["--transport", "wss"], /^ready relay https [^ ]+$/, /^mproxy\/websocket$/],
    [["--transport", "quic"], /^ready relay udp [^ ]+$/, /^quic\//],
    [["--transport", "quic,wss"], /^ready relay udp [^ ]+ https [^ ]+$/, /^quic\//],
    [["--transport", "wss,quic"], /^ready relay udp [^ ]+ https [^ ]+$/, /^mproxy\/websocket$/],
    [[], /^ready relay udp [^ ]+ https [^ ]+$/, /^quic\//],
  ])("%j writes files that run by it as they are", async (flags, ready, carrier) => {
    const trial = await useTrialAsWritten(flags);
    expect(trial.ready).toMatch(ready);
    await echoOnce(trial.listen, 10_000);
    for (const role of ["server", "client"] as const) {
      // Where there are two, a busy machine may begin by the other one.
      await waitUntil(
        `the ${role} by ${String(carrier)}`,
        async () => carrier.test((await trial.carrier(role)) ?? ""),
        { withinMs: 20_000 },
      );
    }
  });

  it.each(["tcp", "", "quic,", "quic,quic", "wss,norouter", "QUIC"])(
    "%j is refused in words that say what may stand there, and nothing is written",
    async (names) => {
      const folder = await useTempFolder();
      const made = await culvert(["init", join(folder, "trial"), "--transport", names]);
      expect(made.code).toBe(2);
      expect(made.stderr).toMatch(/--transport .*quic, wss, quic,wss, wss,quic or norouter/);
      expect(await readdir(folder)).toEqual([]);
    },
  );
});
