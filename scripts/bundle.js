/**
 * Puts what `tsc -b` has built, and the libraries it uses, into a few files: packages/cli/dist/bundle. A daemon then loads some
 * thirty files where it would load some nine hundred, which is more than half of its start. What it was made from is written
 * beside it, in bundle.json, for packages/cli/bin/built-main.js to see whether it still holds.
 */
import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { contentHash } from "../packages/cli/bin/built-main.js";

/**
 * Bundles the built `culvert` of a workspace. The files of the bundle before this one stay, for processes that run it and load some
 * of them late; older ones go.
 *
 * @param {string} root The folder of the workspace.
 */
async function bundle(root) {
  const { build } = await import("esbuild");
  const folder = join(root, "packages/cli/dist/bundle");
  // Before anything is read: what is built meanwhile is newer.
  const builds = await buildsOf(root);
  const newestMs = Math.max(...builds.map((file) => statSync(file).mtimeMs));
  const madeFrom = Object.fromEntries(
    builds.map((file) => [relative(folder, file).replaceAll(sep, "/"), contentHash(file)]),
  );
  const { outputFiles, metafile } = await build({
    entryPoints: [join(root, "packages/cli/dist/main.js")],
    absWorkingDir: root,
    outdir: folder,
    write: false,
    // Other contents have another name, so that no process finds two builds mixed.
    entryNames: "[name]-[hash]",
    chunkNames: "[name]-[hash]",
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20.19",
    // As Node resolves.
    conditions: [],
    mainFields: ["main"],
    external,
    banner: { js: requireOfModules },
    plugins: [ownPlaces(folder)],
    // Not minified: that saves 10 ms of a start, and stacks could not be read.
    sourcemap: true,
    sourcesContent: false,
    legalComments: "none",
    metafile: true,
    logLevel: "warning",
  });
  checkExternals(metafile, root, folder);
  await mkdir(folder, { recursive: true });
  for (const { path, contents } of outputFiles) {
    if (!existsSync(path)) await writeWhole(path, contents);
  }
  const entry = Object.entries(metafile.outputs).find(([, { entryPoint }]) =>
    entryPoint?.endsWith("cli/dist/main.js"),
  );
  const index = join(folder, "bundle.json");
  const before = filesOf(index);
  const files = outputFiles.map(({ path }) => basename(path));
  const made = { entry: basename(entry[0]), newestMs, madeFrom, files };
  await writeWhole(index, JSON.stringify(made, undefined, 1));
  const kept = new Set([...files, ...before]);
  const old = (await readdir(folder)).filter((name) => /\.js(\.map)?$/.test(name));
  for (const name of old) if (!kept.has(name)) await rm(join(folder, name), { force: true });
}

/** What tells that there is something new to bundle: each package's record of its last build, and which libraries there are. */
async function buildsOf(root) {
  const packages = await readdir(join(root, "packages"));
  return [
    ...packages.map((name) => join(root, "packages", name, "dist/.tsbuildinfo")),
    join(root, "package-lock.json"),
  ].filter((file) => existsSync(file));
}

/** Our own modules keep the place they have without a bundle: they look for files and addons from there. */
function ownPlaces(folder) {
  return {
    name: "own-places",
    setup({ onLoad }) {
      onLoad({ filter: /[\\/]packages[\\/][^\\/]+[\\/]dist[\\/].*\.js$/ }, async ({ path }) => {
        const text = await readFile(path, "utf8");
        if (!text.includes("import.meta.url")) return undefined;
        const place = relative(folder, path).replaceAll(sep, "/");
        const url = `new URL(${JSON.stringify(place)}, import.meta.url).href`;
        return { contents: text.replaceAll("import.meta.url", url), loader: "js" };
      });
    },
  };
}

/** What stays outside must be the same package seen from the bundle as from the module that asks for it. */
function checkExternals({ inputs }, root, folder) {
  for (const [path, { imports }] of Object.entries(inputs)) {
    for (const { path: name, external: isOutside } of imports) {
      if (isOutside !== true || isBuiltin(name) || name === "<runtime>") continue;
      const from = dirname(resolve(root, path));
      if (packageFolder(name, from) === packageFolder(name, folder)) continue;
      throw new Error(`${name}, which ${path} asks for, is another one where the bundle is`);
    }
  }
}

/** Where Node looks up a package from a folder; undefined where it is not installed. */
function packageFolder(specifier, from) {
  const name = /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier;
  const folder = join(from, "node_modules", name);
  if (existsSync(folder)) return realpathSync(folder);
  return dirname(from) === from ? undefined : packageFolder(specifier, dirname(from));
}

function filesOf(index) {
  return existsSync(index) ? JSON.parse(readFileSync(index, "utf8")).files : [];
}

/** Whole or not at all: a process may start at any moment. */
async function writeWhole(path, contents) {
  const part = `${path}.${process.pid}.part`;
  await writeFile(part, contents);
  await rename(part, path);
}

/** Addons, and what looks for one beside itself, stay where they are; acme-client is used by few relays, and seldom. */
const external = ["@matrixai/quic", "bufferutil", "utf-8-validate", "acme-client"];

/** Libraries of CommonJS ask for what stays outside by `require`, which a module does not have. */
const requireOfModules = `import { createRequire as createRequireOfBundle } from "node:module";
const require = createRequireOfBundle(import.meta.url);`;

const root = resolve(process.argv[2] ?? fileURLToPath(new URL("..", import.meta.url)));
try {
  await bundle(root);
} catch (error) {
  // No reason for an installation to fail: everything works without, and starts in twice the time.
  console.warn(`culvert is not bundled, and runs from its modules: ${String(error)}`);
}
