import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";

/**
 * Where the built `main` is: in the bundle that scripts/bundle.js made, which loads in half the time, unless something that it was
 * made from has changed since; then in the modules as built. Takes a tenth of a millisecond, and some more where a copy, say, has
 * written all of that again.
 *
 * @param {URL} dist The folder of what is built.
 * @returns {string}
 */
export function builtMain(dist = new URL("../dist/", import.meta.url)) {
  const folder = new URL("bundle/", dist);
  try {
    const { entry, newestMs, madeFrom } = JSON.parse(
      readFileSync(new URL("bundle.json", folder), "utf8"),
    );
    const holds = ([path, hash]) => {
      const file = new URL(path, folder);
      // What is gone, as in an image without the lock file, has not changed.
      const { mtimeMs } = statSync(file, { throwIfNoEntry: false }) ?? { mtimeMs: 0 };
      return mtimeMs <= newestMs || contentHash(file) === hash;
    };
    if (Object.entries(madeFrom).every(holds)) return new URL(entry, folder).href;
  } catch {
    // There is no bundle.
  }
  return new URL("main.js", dist).href;
}

/**
 * Tells contents of files apart.
 *
 * @param {string | URL} file
 * @returns {string}
 */
export function contentHash(file) {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}
