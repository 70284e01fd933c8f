import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { missing, notRoot } from "../../support/requires.ts";
import { waitUntil } from "../../support/wait.ts";
import {
  fetchAll,
  fetchMany,
  iperf,
  lookUp,
  sources,
  targets,
  upload,
  ways,
  type Way,
} from "./matrix.ts";
import { allAgents, behind, memberNames, members, Mesh, type Seats } from "./mesh.ts";
import { ours, realProgram } from "./program.ts";

const rounds = 3;
const real = realProgram();
const impossible = notRoot("the mesh of network namespaces") || missing("ip", "curl", "iperf3");

const pairings: Record<string, Seats> = {
  "our manager, our agents": { manager: ours, agents: allAgents(ours) },
};
if (real !== undefined) {
  const mixed = { ...allAgents(ours), host1: real, host3: real, bastion2: real };
  const otherwise = { ...allAgents(real), host1: ours, host3: ours, bastion2: ours };
  Object.assign(pairings, {
    "real manager, real agents": { manager: real, agents: allAgents(real) },
    "our manager, real agents": { manager: ours, agents: allAgents(real) },
    "real manager, our agents": { manager: real, agents: allAgents(ours) },
    "our manager, mixed agents": { manager: ours, agents: mixed },
    "real manager, mixed agents": { manager: real, agents: otherwise },
  } satisfies Record<string, Seats>);
}

for (const [title, seats] of Object.entries(pairings)) {
  describe.skipIf(impossible)(title, () => {
    const mesh = new Mesh(seats);
    beforeAll(() => mesh.start(), 60_000);
    afterAll(() => mesh.stop());
    afterEach(({ task }) => {
      if (task.result?.state === "fail") console.error(mesh.log.slice(-6_000));
    });

    for (const way of Object.keys(ways) as Way[]) {
      it(`every host fetches by ${way}: ${targets[way].map((each) => each.title).join(", ")}`, async () => {
        const { wanted, again, faults } = await fetchAll(mesh, way, rounds);
        console.log(
          `${title}, ${way}: ${wanted - faults.length} of ${wanted}, ${again.length} tried again`,
        );
        expect(faults).toEqual([]);
      });
      it(`16 MiB up by ${way}`, async () => {
        expect(await upload(mesh, way, 16 * 1024 * 1024)).toBeUndefined();
      });
    }

    it("a thousand connections one after the other, none of which hangs", async () => {
      console.log(`${title}: ${(await fetchMany(mesh, 1_000)).toFixed(0)} connections a second`);
    });

    it("iperf3 from host2 to host1 and back", async () => {
      const server = mesh.spawn("host1", "iperf3", ["--server", "--forceflush"]);
      let said = "";
      server.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
      await waitUntil("iperf3 listens", () => said.includes("listening"));
      for (const reverse of [false, true]) {
        const bitsPerSecond = await iperf(mesh, 3, reverse ? ["--reverse"] : []);
        const rate = (bitsPerSecond / 8 / 1024 / 1024).toFixed(1);
        console.log(
          `${title}, iperf3 ${reverse ? "host1 to host2" : "host2 to host1"}: ${rate} MiB/s`,
        );
        expect(bitsPerSecond).toBeGreaterThan(8_000_000);
      }
    });

    it("each built-in DNS server knows every name, asked from its own host and from another", async () => {
      for (const source of sources) {
        for (const server of [source, "bastion1"] as const) {
          expect(await lookUp(mesh, source, server, "host2")).toEqual([members.host2]);
          expect(await lookUp(mesh, source, server, "WWW.host3.example")).toEqual([members.host3]);
        }
      }
      expect(await lookUp(mesh, "host2", "bastion1", "wiki.net1.example")).toEqual([
        behind.net1.wiki,
      ]);
      expect(await lookUp(mesh, "host2", "bastion2", "none.net2.example")).toEqual([]);
    });

    it("each member's state folder names the others", () => {
      for (const name of memberNames) {
        const hosts = readFileSync(join(mesh.stateFolder, name, "hosts"), "utf8");
        for (const other of memberNames) expect(hosts).toContain(`${members[other]} ${other}\n`);
        expect(hosts).toContain(`${members.host3} www.host3.example\n`);
      }
    });

    // Last: it ends the mesh.
    it("ends with 0 after an interrupt, and so do its agents", async () => {
      expect(await mesh.interrupt()).toEqual({ code: 0, signal: null });
      for (const name of memberNames) {
        const gone = async (): Promise<boolean> => (await mesh.agentsOf(name)).length === 0;
        await waitUntil(`the agent of ${name} is gone`, gone, { withinMs: 15_000 });
      }
    });
  });
}
