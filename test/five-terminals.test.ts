import { readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { run } from "./support/child.ts";
import { listening } from "./support/listening.ts";
import { Netcat } from "./support/netcat.ts";
import { freePort } from "./support/ports.ts";
import { missing } from "./support/requires.ts";
import { digest, sendRandom } from "./support/tcp.ts";
import { useTempFolder } from "./support/temp-folder.ts";
import { bothTransports, useTrial, type Trial } from "./support/trial.ts";
import { within } from "./support/wait.ts";

const transferBytes = 100 * 1024 * 1024;

describe.skipIf(missing("nc"))("five terminals: relay, server, client and two netcats", () => {
  it("prints one ready line each and carries text both ways", async () => {
    const trial = await useTrial(bothTransports);
    await trial.start();
    expect(trial.daemon("relay").lines).toEqual([
      `ready relay udp 127.0.0.1:${trial.relayPort} https 127.0.0.1:${trial.webPort}`,
    ]);
    expect(trial.daemon("server").lines).toEqual(["ready server lan-box"]);
    expect(trial.daemon("client").lines).toEqual([`ready client 127.0.0.1:${trial.listenPort}`]);

    const { end, user } = await twoNetcats(trial);
    user.type("hello from the client's side");
    await end.hears("hello from the client's side");
    end.type("and back from the end server");
    await user.hears("and back from the end server");
    user.type("a second line with ünïcødé");
    await end.hears("a second line with ünïcødé");

    // Ctrl-C in the user's terminal: the end server's netcat is told.
    user.child.signal("SIGINT");
    await within(3_000, "nc -l ends with its user", end.child.exited);
    await trial.quiet();
    for (const role of ["relay", "server", "client"] as const) {
      expect(trial.daemon(role).lines, `${role} prints one line`).toHaveLength(1);
      expect(trial.daemon(role).strayLines, `${role} logs JSON only`).toEqual([]);
    }
  });

  for (const engine of ["auto", "quinn"] as const) {
    it(`carries 100 MiB of random bytes each way, quic.engine ${engine}`, async () => {
      const trial = await useTrial();
      for (const role of ["relay", "server", "client"] as const) {
        await trial.edit(role, (config) => {
          config["quic"] = { engine };
        });
      }
      await trial.start();

      const up = await twoNetcats(trial, { text: false });
      const received = digest(up.end.child.stdout);
      const sent = await sendRandom(up.user.child.stdin, transferBytes);
      expect(await within(60_000, "the bytes up", received)).toEqual(sent);
      await within(3_000, "nc -N ends", up.user.child.exited);
      await trial.quiet();

      const down = await twoNetcats(trial, { text: false });
      // This netcat stays until its own input ends too.
      const receivedDown = digest(down.user.child.stdout, (bytes) => {
        if (bytes >= transferBytes) down.user.child.stdin.end();
      });
      const sentDown = await sendRandom(down.end.child.stdin, transferBytes);
      expect(await within(60_000, "the bytes down", receivedDown)).toEqual(sentDown);
      await within(3_000, "nc -N -l ends", down.end.child.exited);
      await trial.quiet();

      const { bytes } = await trial.status("relay");
      expect(bytes).toEqual({ clientToServer: transferBytes, serverToClient: transferBytes });
    });
  }
});

describe.skipIf(missing("tmux", "nc", "bash"))("scripts/five-terminals", () => {
  it("shows the same in tmux, and with --once prints the panes and ends with 0", async () => {
    const temporary = await useTempFolder();
    const script = fileURLToPath(new URL("../scripts/five-terminals", import.meta.url));
    const [relay, listen, target] = [await freePort([10, 11]), await freePort(), await freePort()];
    const result = await run(script, ["--once"], {
      env: {
        TMPDIR: temporary,
        RELAY_PORT: String(relay),
        LISTEN_PORT: String(listen),
        TARGET_PORT: String(target),
      },
    });
    expect(result.stderr).toBe("");
    expect(result.code).toBe(0);
    expect(result.stdout).toContain(`ready client 127.0.0.1:${listen}`);
    expect(result.stdout).toContain("The text came through both ways.");
    expect(await readdir(temporary)).toEqual([]);
  });
});

/** `nc -l -p TARGET` and, once it listens, `nc 127.0.0.1 LISTEN`; for files with -N, which ends the direction with the input. */
async function twoNetcats(
  trial: Trial,
  options: { readonly text?: boolean } = {},
): Promise<{ readonly end: Netcat; readonly user: Netcat }> {
  const flags = options.text === false ? ["-N"] : [];
  const end = new Netcat([...flags, "-l", "-p", String(trial.targetPort)], options);
  await listening(trial.targetPort);
  const user = new Netcat([...flags, "127.0.0.1", String(trial.listenPort)], options);
  return { end, user };
}
