import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { Child, run } from "./support/child.ts";
import { bundleAnew } from "./support/culvert.ts";
import { useTempFolder } from "./support/temp-folder.ts";
import { waitUntil, within } from "./support/wait.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

describe("the bundle", () => {
  it("is what runs as long as nothing was built since it was made", async () => {
    const workspace = await useWorkspace();
    await workspace.bundle();
    workspace.write("other/dist/word.js", 'export const word = "second";');
    // The file alone says nothing: who builds also writes the record of the build.
    expect(await workspace.says()).toBe("first");
    workspace.change("packages/other/dist/.tsbuildinfo");
    expect(await workspace.says()).toBe("second");
    await workspace.bundle();
    workspace.write("other/dist/word.js", 'export const word = "third";');
    expect(await workspace.says()).toBe("second");
    workspace.change("package-lock.json");
    expect(await workspace.says()).toBe("third");
  });

  it("is what runs where all was written again and nothing changed, as by a copy", async () => {
    const workspace = await useWorkspace();
    await workspace.bundle();
    workspace.write("other/dist/word.js", 'export const word = "second";');
    for (const name of ["cli", "other"]) workspace.touch(`packages/${name}/dist/.tsbuildinfo`);
    workspace.touch("package-lock.json");
    expect(await workspace.says()).toBe("first");
    workspace.change("packages/cli/dist/.tsbuildinfo");
    expect(await workspace.says()).toBe("second");
  });

  it("is not missed where there is none, and may be copied without the lock file", async () => {
    const workspace = await useWorkspace();
    expect(await workspace.says()).toBe("first");
    await workspace.bundle();
    rmSync(join(workspace.folder, "package-lock.json"));
    workspace.write("other/dist/word.js", 'export const word = "second";');
    expect(await workspace.says()).toBe("first");
    rmSync(workspace.bundleFolder, { recursive: true });
    expect(await workspace.says()).toBe("second");
  });

  it("is passed by where the modules are asked for", async () => {
    const workspace = await useWorkspace();
    await workspace.bundle();
    workspace.write("other/dist/word.js", 'export const word = "second";');
    expect(await workspace.says("unbundled.js")).toBe("second");
  });

  it("lets a module find files where it stands, and CommonJS ask for what is not bundled", async () => {
    const workspace = await useWorkspace();
    workspace.write("other/dist/beside.txt", "from beside");
    workspace.write(
      "other/dist/word.js",
      `import { readFileSync } from "node:fs";
       import named from "./common.cjs";
       export const word = [readFileSync(new URL("beside.txt", import.meta.url), "utf8"), named].join();`,
    );
    workspace.write("other/dist/common.cjs", 'module.exports = require("bufferutil").name;');
    workspace.write("../node_modules/bufferutil/index.js", 'exports.name = "the addon";');
    await workspace.bundle();
    rmSync(join(workspace.folder, "packages/other/dist/word.js"));
    expect(await workspace.says()).toBe("from beside,the addon");
  });

  it("loads late what is imported late, also after it was made anew", async () => {
    const workspace = await useWorkspace();
    const waiting = `process.stdout.write("waiting\\n");
      for await (const line of process.stdin) break;
      const { late } = await import("./late.js");
      export const word = late;`;
    workspace.write("other/dist/late.js", 'export const late = "late, first";');
    workspace.write("other/dist/word.js", waiting);
    await workspace.bundle();
    const child = new Child(process.execPath, [workspace.program("culvert.js")]);
    let said = "";
    child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString("utf8")));
    await waitUntil("its start", () => said.includes("waiting"), { withinMs: 10_000 });
    workspace.write("other/dist/late.js", 'export const late = "late, second";');
    await workspace.bundle();
    child.stdin.end("go on\n");
    expect(await within(10_000, "its end", child.exited)).toMatchObject({ code: 0 });
    expect(said).toContain("late, first");
  });

  it("keeps the files of the bundle before it, and none older", async () => {
    const workspace = await useWorkspace();
    const filesOf = async (word: string): Promise<readonly string[]> => {
      workspace.write("other/dist/word.js", `export const word = "${word}";`);
      await workspace.bundle();
      return readdirSync(workspace.bundleFolder);
    };
    const [first, second, third] = [await filesOf("1"), await filesOf("2"), await filesOf("3")];
    expect(second).toEqual(expect.arrayContaining([...first]));
    expect(third.length).toBe(second.length);
    expect(third).not.toEqual(expect.arrayContaining([...first]));
  });

  it("has a map that leads back to the modules", async () => {
    const workspace = await useWorkspace();
    workspace.write("other/dist/word.js", `\n\nexport const word = new Error("here").stack;`);
    await workspace.bundle();
    const args = ["--enable-source-maps", workspace.program("culvert.js")];
    const { stdout } = await run(process.execPath, args);
    expect(stdout).toContain("packages/other/dist/word.js:3:");
  });

  it("is done without, and says so, where the bundler is not installed", async () => {
    const workspace = await useWorkspace();
    const script = join(workspace.folder, "scripts/bundle.js");
    mkdirSync(dirname(script));
    cpSync(join(root, "scripts/bundle.js"), script);
    const result = await run(process.execPath, [script]);
    expect(result).toMatchObject({ code: 0, stdout: "" });
    expect(result.stderr).toContain("culvert is not bundled");
    expect(existsSync(workspace.bundleFolder)).toBe(false);
    expect(await workspace.says()).toBe("first");
  });
});

describe("the bundle of culvert", () => {
  it("leaves our classes their names, which logs show of errors", async () => {
    await bundleAnew();
    const dist = readdirSync(join(root, "packages"))
      .map((name) => join(root, "packages", name, "dist"))
      .filter((folder) => !folder.includes("/testkit/"));
    const ours = new Set(dist.flatMap((folder) => classesOf(folder, /^export class (\w+)/gm)));
    expect(ours.size).toBeGreaterThan(200);
    const bundled = classesOf(join(root, "packages/cli/dist/bundle"), /^var (\w+) = class\b/gm);
    const renamed = bundled.filter((name) => ours.has(name.replace(/\d+$/, "")) && !ours.has(name));
    expect(bundled).toEqual(expect.arrayContaining(["TransportError", "Relay", "ClientProxy"]));
    expect(renamed).toEqual([]);
  });
});

function classesOf(folder: string, pattern: RegExp): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".js"))
    .flatMap((name) => [...readFileSync(join(folder, name), "utf8").matchAll(pattern)])
    .map(([, name]) => name ?? "");
}

/** A workspace of two packages with the real launchers, whose program says a word that the other package has. */
async function useWorkspace() {
  const folder = await useTempFolder();
  const write = (path: string, text: string): void => {
    const file = join(folder, "packages", path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  };
  for (const name of ["cli", "other"]) {
    write(`${name}/package.json`, '{ "type": "module" }');
    write(`${name}/dist/.tsbuildinfo`, "");
  }
  cpSync(join(root, "packages/cli/bin"), join(folder, "packages/cli/bin"), { recursive: true });
  write("cli/dist/main.js", `export { main } from "../../other/dist/main.js";`);
  write(
    "other/dist/main.js",
    `import { word } from "./word.js";
     export const main = () => console.log(word);`,
  );
  write("other/dist/word.js", 'export const word = "first";');
  writeFileSync(join(folder, "package-lock.json"), "");
  /** As if it were written now, whatever the clock's resolution. */
  const touch = (path: string): void => {
    const file = join(folder, path);
    const newerMs = statSync(file).mtimeMs + 60_000;
    utimesSync(file, newerMs / 1_000, newerMs / 1_000);
  };
  const program = (name: string): string => join(folder, "packages/cli/bin", name);
  const bundleFolder = join(folder, "packages/cli/dist/bundle");
  return {
    folder,
    bundleFolder,
    program,
    write,
    async bundle(): Promise<void> {
      const result = await run(process.execPath, [join(root, "scripts/bundle.js"), folder]);
      expect(result).toMatchObject({ code: 0, stderr: "" });
      expect(existsSync(join(bundleFolder, "bundle.json"))).toBe(true);
    },
    touch,
    change(path: string): void {
      appendFileSync(join(folder, path), "changed");
      touch(path);
    },
    async says(name = "culvert.js"): Promise<string> {
      const { stdout, stderr } = await run(process.execPath, [program(name)]);
      expect(stderr).toBe("");
      return stdout.trim();
    },
  };
}
