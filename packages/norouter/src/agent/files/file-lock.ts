import { rm, stat, writeFile } from "node:fs/promises";
import { millis, sleep, systemCode, TransportError, type Clock } from "@culvert/runtime";

/**
 * Runs `work` while nobody else does who has the same lock file. One that stays for longer than any such work takes was left by a
 * process that died, and is taken over; where no file can be made, there is no lock.
 * @throws as `work`; the system's errors; TransportError `timeout` where the lock is never free.
 */
export async function withFileLock(
  path: string,
  clock: Clock,
  work: () => Promise<void>,
): Promise<void> {
  const isLocked = await lock(path, clock);
  try {
    await work();
  } finally {
    if (isLocked) await rm(path, { force: true });
  }
}

async function lock(path: string, clock: Clock): Promise<boolean> {
  const endMs = clock.now() + longestWaitMs;
  let seen = "";
  let seenAtMs = clock.now();
  for (;;) {
    try {
      await writeFile(path, `${process.pid}\n`, { flag: "wx" });
      return true;
    } catch (error) {
      const code = systemCode(error) ?? "";
      if (["EACCES", "EPERM", "EROFS"].includes(code)) return false;
      if (code !== "EEXIST") throw error;
    }
    const now = await identityOf(path);
    if (now !== seen || now === "") {
      seen = now;
      seenAtMs = clock.now();
    } else if (clock.now() - seenAtMs >= longestWorkMs) {
      await rm(path, { force: true });
    }
    if (clock.now() >= endMs) {
      throw new TransportError("timeout", `${path}: others hold the lock without end`);
    }
    await sleep(clock, millis(pollMs));
  }
}

/** Which file it is; "" where it is gone. */
async function identityOf(path: string): Promise<string> {
  try {
    const { ino, mtimeNs } = await stat(path, { bigint: true });
    return `${ino} ${mtimeNs}`;
  } catch {
    return "";
  }
}

/** To read and write a small file takes milliseconds. */
const longestWorkMs = 2_000;
/** Less than an agent gets to end. */
const longestWaitMs = 4_000;
const pollMs = 20;
