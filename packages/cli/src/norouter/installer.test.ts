import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { installerScript } from "./installer.ts";

const folder = mkdtempSync(join(tmpdir(), "culvert-installer-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs the installer with a home of its own and a `curl` that gives what this script makes of `$3`, the file to write. */
function install(name: string, curl: string) {
  const home = join(folder, name);
  const programs = join(home, "programs");
  mkdirSync(programs, { recursive: true });
  writeFileSync(join(programs, "curl"), `#!/bin/sh\n${curl}\n`);
  chmodSync(join(programs, "curl"), 0o755);
  const env = { HOME: home, TMPDIR: home, PATH: `${programs}:${process.env["PATH"] ?? ""}` };
  const script = installerScript("0.6.4");
  const { status, stdout, stderr } = spawnSync("sh", { input: script, env, encoding: "utf8" });
  return { status, stdout, stderr, home, left: readdirSync(home).sort() };
}

it("puts the program into ~/bin, says its version, and that the folder is not on the path", () => {
  const program = join(folder, "norouter");
  writeFileSync(program, "#!/bin/sh\necho norouter version 0.6.4\n", { mode: 0o755 });
  const archive = join(folder, "norouter.tgz");
  execFileSync("tar", ["-czf", archive, "-C", folder, "norouter"]);
  const { status, stdout, home, left } = install("good", `cp ${archive} "$3"; echo "$4" >&2`);
  expect({ status, left }).toEqual({ status: 0, left: ["bin", "programs"] });
  expect(stdout).toBe(
    `norouter version 0.6.4\n${home}/bin is not on the path of this shell: write ${home}/bin/norouter in manifests\n`,
  );
});

it("fails with the address and leaves nothing where there is nothing to be had", () => {
  const { status, stderr, left } = install("bad", 'echo "curl: (6) no such host" >&2; exit 6');
  expect({ status, left }).toEqual({ status: 1, left: ["programs"] });
  expect(stderr).toMatch(
    /^curl: \(6\) no such host\nhttps:\/\/github\.com\/norouter\/norouter\/releases\/download\/v0\.6\.4\/norouter-\S+\.tgz cannot be fetched/,
  );
});
