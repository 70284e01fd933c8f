import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  allAgents,
  behind,
  members,
  Mesh,
  socksProxy,
  type Member,
  type Seats,
} from "./interop/norouter/mesh.ts";
import { page } from "./interop/norouter/page.mjs";
import { ours, realProgram } from "./interop/norouter/program.ts";
import { missing, notRoot } from "./support/requires.ts";
import { waitUntil } from "./support/wait.ts";

const real = realProgram();
const impossible = notRoot("the mesh of network namespaces") || missing("ip", "curl");

const pairings: Record<string, Seats> = {
  "our manager, our agents": { manager: ours, agents: allAgents(ours) },
};
if (real !== undefined) {
  const mixed = { ...allAgents(ours), host1: real, host3: real, bastion2: real };
  pairings["real manager, our agents"] = { manager: real, agents: allAgents(ours) };
  pairings["our manager, mixed agents"] = { manager: ours, agents: mixed };
}

// What the script that the matrix follows leaves out.
for (const [title, seats] of Object.entries(pairings)) {
  describe.skipIf(impossible)(`further ways into the mesh: ${title}`, () => {
    const mesh = new Mesh(seats);
    beforeAll(() => mesh.start(), 60_000);
    afterAll(() => mesh.stop());
    afterEach(({ task }) => {
      if (task.result?.state === "fail") console.error(mesh.log.slice(-6_000));
    });

    for (const flag of ["--socks4", "--socks5"]) {
      it(`an address is reached by ${flag}, of a host as behind a bastion`, async () => {
        for (const source of ["host0", "host1", "host2"] as const) {
          for (const [address, name] of [
            [`${members.host3}:8080`, "host3"],
            [`${members.host1}:8080`, "host1"],
            [behind.net1.shop, "shop"],
          ] as const) {
            expect(await fetched(source, [flag, socksProxy], address)).toBe(page(name));
          }
        }
      });
    }

    it("names in the hostaliases file are what the resolver of the C library makes of them", async () => {
      await serveNipIo();
      const file = join(mesh.stateFolder, "host2", "hostaliases");
      for (const name of ["host1", "host3"] as const) {
        expect(await fetched("host2", [], `${name}:8080`, [`HOSTALIASES=${file}`])).toBe(
          page(name),
        );
      }
    });

    it("the DNS of every agent answers by UDP, too, asked from its own host and from others", async () => {
      for (const source of ["host0", "host2"] as const) {
        for (const server of [source, "host1", "bastion1"] as const) {
          expect(await askedByUdp(source, server, "host3")).toBe(members.host3);
          expect(await askedByUdp(source, server, "WWW.host3.example")).toBe(members.host3);
        }
        expect(await askedByUdp(source, "bastion1", "wiki.net1.example")).toBe(behind.net1.wiki);
        // No address of IPv6 is not no such name.
        expect(await askedByUdp(source, source, "host3", "resolve6")).toBe("ENODATA");
        expect(await askedByUdp(source, "bastion1", "none.net1.example")).toBe("ENOTFOUND");
      }
    });

    /** The public DNS that makes an address of a name that holds it. */
    async function serveNipIo(): Promise<void> {
      const names = Object.fromEntries(
        Object.values(members).map((vip) => [`${vip}.nip.io`, vip] as const),
      );
      const plan = JSON.stringify({ dns: { address: "127.0.0.1", names } });
      const server = mesh.spawn("host2", process.execPath, [residentPath, plan]);
      let said = "";
      server.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
      await waitUntil("a DNS server", () => said.includes("ready"));
    }

    async function fetched(
      source: Member,
      flags: readonly string[],
      address: string,
      env: readonly string[] = [],
    ): Promise<string> {
      const result = await mesh.run(source, "env", [
        ...[...env, "curl", "--silent", "--show-error", "--fail", "--max-time", "20"],
        ...["--noproxy", "", ...flags, `http://${address}/`],
      ]);
      return result.code === 0 ? result.stdout : `${source} -> ${address}: ${result.stderr}`;
    }

    async function askedByUdp(
      source: Member,
      server: Member,
      name: string,
      method = "resolve4",
    ): Promise<string> {
      const at = `${members[server]}:10053`;
      const result = await mesh.run(source, process.execPath, ["-e", ask, at, name, method]);
      return result.stdout.trim() || result.stderr;
    }
  });
}

/** Node's own resolver asks by UDP, and by TCP only where an answer was cut. */
const ask = `
  const [server, name, method] = process.argv.slice(1);
  const resolver = new (require("node:dns").promises.Resolver)({ timeout: 10_000, tries: 1 });
  resolver.setServers([server]);
  resolver[method](name).then(
    (addresses) => console.log(addresses.join(" ")),
    (error) => console.log(error.code),
  );
`;
const residentPath = fileURLToPath(new URL("./interop/norouter/resident.mjs", import.meta.url));
