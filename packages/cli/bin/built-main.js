import { readFileSync, statSync } from "node:fs";

/**
 * Where the built `main` is: in the bundle that scripts/bundle.js made, which loads in half the time, unless something that it was
 * made from has been built anew since; then in the modules as built. Takes a tenth of a millisecond.
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
    // What is gone, as in an image without the lock file, has not been built anew.
    const isOld = (path) =>
      (statSync(new URL(path, folder), { throwIfNoEntry: false })?.mtimeMs ?? 0) <= newestMs;
    if (madeFrom.every(isOld)) return new URL(entry, folder).href;
  } catch {
    // There is no bundle.
  }
  return new URL("main.js", dist).href;
}
