import { chmodSync, existsSync, mkdirSync } from "node:fs";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import { run } from "../../support/child.ts";
import { lanes, localEntrances, type Peer, type StartContext } from "./peer.ts";

/**
 * The nearest thing that everybody has: one sshd in the middle, `ssh -R` from the server's side and `ssh -L` from the client's,
 * with keys and a configuration of their own. Neither ssh comes back by itself when sshd ends.
 */
export const sshPeer: Peer = {
  name: "ssh",
  title: "ssh -R + ssh -L",
  programs: ["sshd", "ssh", "ssh-keygen"],
  // It looks at each of its channels in every turn, so that 10,000 of them are not open after two minutes.
  mostOpen: 1_000,
  async start(context) {
    const { crew, place, relayPort, program } = context;
    await makeKeys(context);
    await writeFile(join(context.folder, "sshd_config"), configuration(context));
    makePrivilegeSeparationFolder();
    const relay = crew.start(place.relayPrefix, program("sshd"), [
      ...["-D", "-e", "-f", join(context.folder, "sshd_config")],
    ]);
    await context.listening({ host: place.relayAddress, port: relayPort });
    const server = ssh(
      context,
      lanes.flatMap((lane) => [
        "-R",
        `127.0.0.1:${context.relayLanes[lane]}:127.0.0.1:${context.targets[lane]}`,
      ]),
    );
    const client = ssh(
      context,
      lanes.flatMap((lane) => [
        "-L",
        `127.0.0.1:${context.entrances[lane]}:127.0.0.1:${context.relayLanes[lane]}`,
      ]),
    );
    return {
      entrances: localEntrances(context),
      processes: () => ({ client, relay, server }),
    };
  },
};

function ssh(context: StartContext, forwards: readonly string[]) {
  const { folder, place, relayPort } = context;
  return context.crew.start(place.edgePrefix, context.program("ssh"), [
    ...["-N", "-T", "-F", "none", "-p", String(relayPort), "-i", join(folder, "user")],
    ...["-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes"],
    ...["-o", `UserKnownHostsFile=${join(folder, "known_hosts")}`],
    ...["-o", "HostKeyAlias=culvert-bench", "-o", "StrictHostKeyChecking=yes"],
    ...forwards,
    `${userInfo().username}@${place.relayAddress}`,
  ]);
}

async function makeKeys({ folder, program }: StartContext): Promise<void> {
  for (const key of ["host", "user"]) {
    const file = join(folder, key);
    const made = await run(program("ssh-keygen"), ["-q", "-t", "ed25519", "-N", "", "-f", file]);
    if (made.code !== 0) throw new Error(`ssh-keygen: ${made.stderr}`);
  }
  const hostKey = await readFile(join(folder, "host.pub"), "utf8");
  await writeFile(join(folder, "known_hosts"), `culvert-bench ${hostKey}`);
  await writeFile(
    join(folder, "authorized_keys"),
    await readFile(join(folder, "user.pub"), "utf8"),
  );
  await chmod(join(folder, "authorized_keys"), 0o600);
}

function configuration({ folder, place, relayPort }: StartContext): string {
  return [
    `Port ${relayPort}`,
    `ListenAddress ${place.relayAddress}`,
    `HostKey ${join(folder, "host")}`,
    `AuthorizedKeysFile ${join(folder, "authorized_keys")}`,
    `PidFile ${join(folder, "sshd.pid")}`,
    "StrictModes no",
    "UsePAM no",
    "PermitRootLogin prohibit-password",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "",
  ].join("\n");
}

/** sshd run by root insists on this folder, which a machine without a running sshd lacks; it stays, empty. */
function makePrivilegeSeparationFolder(): void {
  if (process.getuid?.() !== 0) return;
  if (!existsSync("/run/sshd")) mkdirSync("/run/sshd");
  chmodSync("/run/sshd", 0o755);
}
