import { constants, copyFile, open, readFile } from "node:fs/promises";
import { systemCode } from "@culvert/runtime";
import { hostsRegion, regionIn, withoutRegion, withRegion } from "./hosts-region.ts";

/**
 * Names the hosts of the virtual network in the system's hosts file. The file is written in place, so that it may be a mount, as in
 * containers; the first time a copy of it is kept beside it. Returns a function that takes the region out again, unless another agent has
 * replaced it meanwhile.
 * @throws the system's errors.
 */
export async function addToEtcHosts(
  path: string,
  hostnameMap: ReadonlyMap<string, string>,
): Promise<() => Promise<void>> {
  await backUp(path);
  const region = hostsRegion(hostnameMap);
  await writeInPlace(path, withRegion(await readFile(path, "utf8"), region));
  return async () => {
    const text = await readFile(path, "utf8");
    if (regionIn(text) === region) await writeInPlace(path, withoutRegion(text));
  };
}

async function backUp(path: string): Promise<void> {
  try {
    await copyFile(path, `${path}.bak.norouter`, constants.COPYFILE_EXCL);
  } catch (error) {
    if (systemCode(error) !== "EEXIST") throw error;
  }
}

/** Written first and cut behind it, so that at no moment the file is empty. */
async function writeInPlace(path: string, text: string): Promise<void> {
  const bytes = Buffer.from(text);
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
