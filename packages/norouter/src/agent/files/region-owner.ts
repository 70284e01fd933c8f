import { readlinkSync } from "node:fs";
import { systemCode } from "@culvert/runtime";

/** Who a region of the system's hosts file belongs to. */
export interface RegionOwner {
  /** One line that no other living agent has. */
  readonly name: string;
  /** Whether the agent of this name has ended, and left its region behind. */
  readonly isOver: (name: string) => boolean;
}

/**
 * The owner for an agent of this process with the virtual address `me`. Of agents whose processes it cannot see, since containers may share
 * a hosts file, those with the same address are over: one takes the place of the other.
 */
export function processOwner(me: string): RegionOwner {
  const namespace = processNamespace();
  return {
    name: `${me} process ${process.pid} of ${namespace}`,
    isOver: (name) => {
      const match = /^(\S+) process (\d+) of (.+)$/.exec(name);
      if (match === null) return true;
      const [, address, pid, where] = match;
      return where === namespace ? !lives(Number(pid)) : address === me;
    },
  };
}

/** Process ids mean something in one of them only. */
function processNamespace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return "this system";
  }
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process lives, too.
    return systemCode(error) === "EPERM";
  }
}
