import { constants, copyFile, open, readFile } from "node:fs/promises";
import { systemCode, type Clock } from "@culvert/runtime";
import { withFileLock } from "./file-lock.ts";
import { appendRegion, filterRegions, hostsRegion, withoutRegion } from "./hosts-region.ts";
import type { RegionOwner } from "./region-owner.ts";

/** Who names hosts in the system's hosts file. */
export interface EtcHostsOptions {
  readonly owner: RegionOwner;
  readonly clock: Clock;
}

/**
 * Names the hosts of the virtual network in the system's hosts file, in a region of the agent's own; regions of other agents stay, unless
 * they have ended. The file is written in place, so that it may be a mount, as in containers; the first time a copy of it is kept beside
 * it. Returns a function that takes the region out again, and nothing else.
 * @throws the system's errors; TransportError `timeout` where others write without end.
 */
export async function addToEtcHosts(
  path: string,
  hostnameMap: ReadonlyMap<string, string>,
  { owner, clock }: EtcHostsOptions,
): Promise<() => Promise<void>> {
  const { name, isOver } = owner;
  const isKept = (other: string | undefined): boolean =>
    other !== undefined && other !== name && !isOver(other);
  const region = asBytes(hostsRegion(hostnameMap, name));
  const change = (edit: (text: string) => string): Promise<void> =>
    withFileLock(`${path}.lock.norouter`, clock, () => edited(path, edit));
  await backUp(path);
  await change((text) => appendRegion(filterRegions(text, isKept), region));
  return () => change((text) => withoutRegion(text, name));
}

async function backUp(path: string): Promise<void> {
  try {
    await copyFile(path, `${path}.bak.norouter`, constants.COPYFILE_EXCL);
  } catch (error) {
    if (systemCode(error) !== "EEXIST") throw error;
  }
}

/** Written first and cut behind it, so that at no moment the file is empty. */
async function edited(path: string, edit: (text: string) => string): Promise<void> {
  const before = await readFile(path, encoding);
  const text = edit(before);
  if (text === before) return;
  const bytes = Buffer.from(text, encoding);
  const file = await open(path, "r+");
  try {
    let written = 0;
    while (written < bytes.length) {
      written += (await file.write(bytes, written, bytes.length - written, written)).bytesWritten;
    }
    await file.truncate(bytes.length);
  } finally {
    await file.close();
  }
}

/** A text as it is in a file that is read byte for byte. */
function asBytes(text: string): string {
  return Buffer.from(text).toString(encoding);
}

/** Each byte a character: what others wrote comes out as it was, whatever it is. */
const encoding = "latin1";
