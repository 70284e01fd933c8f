import { readFile, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { scratchDirectory } from "../agent-under-test.test-data.ts";
import { addToEtcHosts } from "./etc-hosts.ts";
import { expandPath } from "./expand-path.ts";
import { hostAliases } from "./hostaliases.ts";
import { hostsRegion, withoutRegion, withRegion } from "./hosts-region.ts";
import { writeStateDirectory } from "./state-directory.ts";

const hosts = new Map([
  ["web", "127.0.42.102"],
  ["web.example.com", "127.0.42.102"],
  ["local", "127.0.42.101"],
  ["evil\n127.0.0.1 bank", "127.0.42.103"],
]);
const region = [
  "# <Added-by-NoRouter>",
  "127.0.42.101 local",
  "127.0.42.102 web",
  "127.0.42.102 web.example.com",
  "# </Added-by-NoRouter>",
].join("\n");

describe("expandPath", () => {
  const environment = { HOME: "/home/me", EMPTY: "" };
  it.each([
    ["/foo", "/foo"],
    ["~", "/home/me"],
    ["~/foo", "/home/me/foo"],
    ["$HOME/foo", "/home/me/foo"],
    ["/a/${HOME}$EMPTY/b", "/a//home/me/b"],
    ["/a~b", "/a~b"],
  ])("%s", (path, expanded) => {
    expect(expandPath(path, environment)).toBe(expanded);
  });

  it.each(["$UNSET/foo", "~root/foo"])("%s is refused", (path) => {
    expect(() => expandPath(path, environment)).toThrow(
      expect.objectContaining({ code: "bad_config" }),
    );
  });
});

describe("the region of a hosts file", () => {
  it("names the hosts in a fixed order, and nothing that would be another line", () => {
    expect(hostsRegion(hosts)).toBe(region);
  });

  it("comes at the end, instead of an earlier one", () => {
    const text = "127.0.0.1 localhost\n";
    const once = withRegion(text, region);
    expect(once).toBe(`${text}${region}\n`);
    expect(withRegion(once, region)).toBe(once);
    expect(withoutRegion(once)).toBe(text);
    expect(withRegion("127.0.0.1 localhost", region)).toBe(once);
  });

  it("may stand in the middle", () => {
    const text = `a\n${region}\nb\n`;
    expect(withoutRegion(text)).toBe("a\nb\n");
  });
});

describe("hostAliases", () => {
  it("keeps earlier aliases and adds names without a dot", () => {
    expect(hostAliases("old www.example\nweb elsewhere\n", hosts)).toBe(
      "old www.example\nweb 127.0.42.102.nip.io\nlocal 127.0.42.101.nip.io\n",
    );
  });
});

describe("writeStateDirectory", () => {
  it("writes three files, and again over them", async () => {
    const home = await scratchDirectory();
    const etcHosts = join(home, "hosts");
    await writeFile(
      etcHosts,
      `127.0.0.1 localhost\n${withRegion("", "# <Added-by-NoRouter>\nx\n# </Added-by-NoRouter>")}`,
    );
    const earlier = join(home, "aliases");
    await writeFile(earlier, "old www.example\n");
    const environment = { HOME: home, HOSTALIASES: earlier };
    for (const path of ["", "$HOME/.norouter/agent"]) {
      const directory = await writeStateDirectory({
        path,
        environment,
        hostnameMap: hosts,
        etcHosts,
      });
      expect(directory).toBe(join(home, ".norouter/agent"));
      expect((await readdir(directory)).sort()).toEqual(["README.md", "hostaliases", "hosts"]);
      expect(await readFile(join(directory, "hosts"), "utf8")).toBe(
        `127.0.0.1 localhost\n${region}\n`,
      );
      expect(await readFile(join(directory, "hostaliases"), "utf8")).toMatch(
        /^old www.example\nweb /,
      );
    }
  });
});

describe("addToEtcHosts", () => {
  async function hostsFile(text: string): Promise<string> {
    const path = join(await scratchDirectory(), "hosts");
    await writeFile(path, text);
    return path;
  }
  const original = "127.0.0.1 localhost\n::1 localhost\n";

  it("writes in place, keeps a copy of the first, and takes its own out again", async () => {
    const path = await hostsFile(original);
    const { ino } = await stat(path);
    const remove = await addToEtcHosts(path, hosts);
    expect(await readFile(path, "utf8")).toBe(`${original}${region}\n`);
    expect((await stat(path)).ino).toBe(ino);
    await remove();
    expect(await readFile(path, "utf8")).toBe(original);
    await writeFile(path, "changed\n");
    await (
      await addToEtcHosts(path, hosts)
    )();
    expect(await readFile(`${path}.bak.norouter`, "utf8")).toBe(original);
    expect(await readFile(path, "utf8")).toBe("changed\n");
  });

  it("leaves the region of another agent alone", async () => {
    const path = await hostsFile(original);
    const removeFirst = await addToEtcHosts(path, hosts);
    const removeSecond = await addToEtcHosts(path, new Map([["other", "127.0.42.109"]]));
    await removeFirst();
    expect(await readFile(path, "utf8")).toContain("127.0.42.109 other");
    await removeSecond();
    expect(await readFile(path, "utf8")).toBe(original);
  });

  it("fails where there is no file", async () => {
    const path = join(await scratchDirectory(), "hosts");
    await expect(addToEtcHosts(path, hosts)).rejects.toMatchObject({ code: "ENOENT" });
  });
});
