import { spawn } from "node:child_process";
import { appendFile, readFile, readdir, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { systemClock } from "@culvert/runtime";
import { VirtualClock, waitUntil } from "@culvert/testkit";
import { scratchDirectory } from "../agent-under-test.test-data.ts";
import { addToEtcHosts } from "./etc-hosts.ts";
import { expandPath } from "./expand-path.ts";
import { hostAliases } from "./hostaliases.ts";
import { hostsRegion, withoutRegion, withoutRegions, withRegion } from "./hosts-region.ts";
import { processOwner, type RegionOwner } from "./region-owner.ts";
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
/** A region as it is in the system's file. */
const owned = (owner: string): string =>
  region.replace("\n", `\n# culvert agent ${owner}, which takes this out when it ends\n`);

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
    expect(withoutRegions(once)).toBe(text);
    expect(withRegion("127.0.0.1 localhost", region)).toBe(once);
  });

  it("may stand in the middle", () => {
    const text = `a\n${region}\nb\n`;
    expect(withoutRegions(text)).toBe("a\nb\n");
  });

  it("that has no end takes none of the lines that follow with it", () => {
    const text = "a\n# <Added-by-NoRouter>\n10.0.0.1 mine\n";
    expect(withoutRegions(text)).toBe("a\n10.0.0.1 mine\n");
    expect(withRegion(text, region)).toBe(`a\n10.0.0.1 mine\n${region}\n`);
    expect(withoutRegions(`${text}${region}\nb\n`)).toBe("a\n10.0.0.1 mine\nb\n");
  });

  it("is no region where a line only mentions its marks", () => {
    const text = `a # <Added-by-NoRouter>\nb # </Added-by-NoRouter>\n`;
    expect(withoutRegions(text)).toBe(text);
  });

  it("is taken out for one owner and left for the others", () => {
    const text = `a\n${owned("one")}\n${owned("two")}\nb\n`;
    expect(withoutRegion(text, "one")).toBe(`a\n${owned("two")}\nb\n`);
    expect(withoutRegion(text, "three")).toBe(text);
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
  async function hostsFile(text: string | Uint8Array): Promise<string> {
    const path = join(await scratchDirectory(), "hosts");
    await writeFile(path, text);
    return path;
  }
  const original = "127.0.0.1 localhost\n::1 localhost\n";
  const dead = new Set<string>();
  const ownerOf = (name: string): RegionOwner => ({ name, isOver: (other) => dead.has(other) });
  const add = (path: string, name: string, names: ReadonlyMap<string, string> = hosts) =>
    addToEtcHosts(path, names, { owner: ownerOf(name), clock: systemClock });

  it("writes in place, keeps a copy of the first, and takes its own out again", async () => {
    const path = await hostsFile(original);
    const { ino } = await stat(path);
    const remove = await add(path, "one");
    expect(await readFile(path, "utf8")).toBe(`${original}${owned("one")}\n`);
    expect((await stat(path)).ino).toBe(ino);
    await remove();
    expect(await readFile(path, "utf8")).toBe(original);
    await writeFile(path, "changed\n");
    await (
      await add(path, "one")
    )();
    expect(await readFile(`${path}.bak.norouter`, "utf8")).toBe(original);
    expect(await readFile(path, "utf8")).toBe("changed\n");
    expect((await readdir(dirname(path))).sort()).toEqual(["hosts", "hosts.bak.norouter"]);
  });

  it.each([
    ["the same names", hosts],
    ["other names", new Map([["other", "127.0.42.109"]])],
  ])("two agents with %s keep theirs until each has ended", async (_what, others) => {
    const path = await hostsFile(original);
    const removeFirst = await add(path, "one");
    const removeSecond = await add(path, "two", others);
    const [name, ip] = [...others][0]!;
    expect(await readFile(path, "utf8")).toContain("127.0.42.101 local\n");
    await removeFirst();
    expect(await readFile(path, "utf8")).toContain(`${ip} ${name}\n`);
    await removeSecond();
    expect(await readFile(path, "utf8")).toBe(original);
  });

  it("many agents at once: none loses its names, and nothing is left", async () => {
    const path = await hostsFile(original);
    const names = Array.from({ length: 12 }, (_, at) => `agent${at}`);
    const removals = await Promise.all(names.map((name) => add(path, name)));
    const text = await readFile(path, "utf8");
    expect(names.filter((name) => !text.includes(owned(name)))).toEqual([]);
    await Promise.all(removals.map((remove) => remove()));
    expect(await readFile(path, "utf8")).toBe(original);
  });

  it("takes out what a dead agent left, and what the original did", async () => {
    const path = await hostsFile(`${original}${region}\n`);
    await add(path, "killed");
    dead.add("killed");
    await (
      await add(path, "one")
    )();
    expect(await readFile(path, "utf8")).toBe(original);
  });

  it("leaves lines alone that somebody added meanwhile, in whatever encoding", async () => {
    const start = Buffer.concat([Buffer.from(original), Buffer.from([0x23, 0xff, 0xe4, 0x0a])]);
    const path = await hostsFile(start);
    const remove = await add(path, "one", new Map([["büro", "127.0.42.1"]]));
    expect(await readFile(path, "utf8")).toContain("127.0.42.1 büro\n");
    await appendFile(path, "10.0.0.1 mine\n");
    await remove();
    expect(await readFile(path)).toEqual(Buffer.concat([start, Buffer.from("10.0.0.1 mine\n")]));
  });

  it("does not wait for ever for one that died while it wrote", async () => {
    const path = await hostsFile(original);
    await writeFile(`${path}.lock.norouter`, "somebody");
    const clock = new VirtualClock();
    const added = addToEtcHosts(path, hosts, { owner: ownerOf("one"), clock });
    let isAdded = false;
    void added.then(() => (isAdded = true));
    await waitUntil(
      async () => {
        await clock.advance(100);
        return isAdded;
      },
      { what: "the lock to be taken over" },
    );
    expect(clock.now()).toBeGreaterThan(2_000);
    expect(await readFile(path, "utf8")).toContain(owned("one"));
  });

  it("fails where there is no file", async () => {
    const path = join(await scratchDirectory(), "hosts");
    await expect(add(path, "one")).rejects.toMatchObject({ code: "ENOENT" });
  });
});

describe("processOwner", () => {
  it("knows of processes of its own process namespace whether they live", async () => {
    const owner = processOwner("127.0.42.101");
    expect(owner.isOver(owner.name)).toBe(false);
    const child = spawn(process.execPath, ["-e", ""]);
    await new Promise((resolve) => child.once("exit", resolve));
    expect(owner.isOver(owner.name.replace(`${process.pid}`, `${child.pid}`))).toBe(true);
  });

  it("takes one of another process namespace for dead only where it had the same address", () => {
    const owner = processOwner("127.0.42.101");
    expect(owner.isOver("127.0.42.101 process 1 of pid:[1]")).toBe(true);
    expect(owner.isOver("127.0.42.102 process 1 of pid:[1]")).toBe(false);
  });

  it("takes what it cannot read for dead", () => {
    expect(processOwner("127.0.42.101").isOver("")).toBe(true);
  });
});
