import { existsSync, mkdirSync } from "node:fs";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import { Child, run } from "./child.ts";
import { listening } from "./listening.ts";
import { findProgram } from "./requires.ts";
import { endWithTest, useTempFolder } from "./temp-folder.ts";

/** An sshd of the test's own: own keys, own port, own configuration, and nothing of the machine's. */
export interface SshServer {
  readonly folder: string;
  /** Options for ssh and scp: the key, the known host, no questions. */
  readonly options: readonly string[];
  readonly user: string;
}

/** Starts sshd on 127.0.0.1 at a port, for as long as the test runs. */
export async function useSshServer(port: number): Promise<SshServer> {
  const folder = await useTempFolder();
  const at = (name: string): string => join(folder, name);
  const user = userInfo().username;
  for (const key of ["host", "user"]) {
    const made = await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", at(key)]);
    if (made.code !== 0) throw new Error(`ssh-keygen: ${made.stderr}`);
  }
  const hostKey = await readFile(at("host.pub"), "utf8");
  await writeFile(at("known_hosts"), `culvert-test ${hostKey}`);
  await writeFile(at("authorized_keys"), await readFile(at("user.pub")));
  await chmod(at("authorized_keys"), 0o600);
  const configuration = [
    `Port ${port}`,
    "ListenAddress 127.0.0.1",
    `HostKey ${at("host")}`,
    `AuthorizedKeysFile ${at("authorized_keys")}`,
    `PidFile ${at("sshd.pid")}`,
    "StrictModes no",
    "UsePAM no",
    "PermitRootLogin prohibit-password",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "Subsystem sftp internal-sftp",
  ];
  await writeFile(at("sshd_config"), `${configuration.join("\n")}\n`);
  makePrivilegeSeparationFolder();
  const sshd = new Child(findProgram("sshd") ?? "sshd", ["-D", "-e", "-f", at("sshd_config")]);
  sshd.stdout.resume();
  sshd.stderr.resume();
  endWithTest(sshd);
  await listening(port);
  return {
    folder,
    user,
    options: [
      ...["-F", "none", "-i", at("user"), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"],
      ...["-o", `UserKnownHostsFile=${at("known_hosts")}`, "-o", "HostKeyAlias=culvert-test"],
      ...["-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=10"],
    ],
  };
}

/** sshd run by root insists on this folder, which a machine without a running sshd lacks; it stays, empty. */
function makePrivilegeSeparationFolder(): void {
  const folder = "/run/sshd";
  if (process.getuid?.() === 0 && !existsSync(folder)) mkdirSync(folder, { mode: 0o755 });
}
