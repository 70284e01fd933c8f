import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import { Agent } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import acme from "acme-client";
import { expect, it, onTestFinished } from "vitest";
import { Child, run } from "./support/child.ts";
import { logToLines } from "./support/log-lines.ts";
import { freePort } from "./support/ports.ts";
import {
  listenForTest,
  LocalDevice,
  makeCertificate,
  useEntrance,
  useSite,
} from "./support/public-entrance.ts";
import { findProgram, missing } from "./support/requires.ts";
import { endWithTest, useTempFolder } from "./support/temp-folder.ts";
import { waitUntil } from "./support/wait.ts";

const pebble = missing("openssl") ? undefined : await buildPebble();

it.skipIf(pebble === undefined)(
  "certificates come by ACME from a real server, are kept for the next start, and a failing name holds up nobody",
  { timeout: 180_000 },
  async () => {
    const { directory, httpPort, resolve } = await usePebble(pebble!);
    const stateDir = join(await useTempFolder(), "acme");
    const { port } = await useSite();
    const web = {
      names: ["relay.example.com"],
      http: [{ host: "127.0.0.1", port: httpPort }],
      acme: { directory, email: "admin@example.com", stateDir },
    };
    const first = await useEntrance(web);
    const device = new LocalDevice("lan-box", port);
    // This one leads elsewhere, so that it cannot be proved.
    await resolve("elsewhere.example.com", "127.0.0.99");
    first.add("elsewhere.example.com", device);
    first.add("app.example.com", device, { http: "redirect" });
    first.add("passed.example.com", device, { tls: "pass" });
    for (const name of ["relay.example.com", "app.example.com"]) {
      await waitUntil(
        `a certificate for ${name}`,
        async () => (await shown(first.https, name)).issuer.includes("Pebble"),
        { withinMs: 90_000, everyMs: 250 },
      );
      expect((await shown(first.https, name)).names).toBe(`DNS:${name}`);
    }
    await waitUntil("the failure to be counted", async () => {
      const failed = { source: "acme", result: "failed" };
      return (await first.metric("culvert_relay_certificates_total", failed)) > 0;
    });
    expect((await shown(first.https, "elsewhere.example.com")).issuer).not.toContain("Pebble");
    const ok = { source: "acme", result: "ok" };
    expect(await first.metric("culvert_relay_certificates_total", ok)).toBe(2);
    expect(await first.metric("culvert_relay_certificate_expiry_seconds")).toBeGreaterThan(86_400);
    await first.entrance.close();

    const [folder = ""] = await readdir(stateDir);
    const files = await readdir(join(stateDir, folder));
    expect(files.sort()).toEqual(["account.key", "app.example.com.pem", "relay.example.com.pem"]);
    for (const file of files) {
      expect((await stat(join(stateDir, folder, file))).mode & 0o777).toBe(0o600);
    }
    expect((await stat(join(stateDir, folder))).mode & 0o777).toBe(0o700);

    // The next start shows what it has and asks for nothing.
    const kept = await readFile(join(stateDir, folder, "relay.example.com.pem"), "utf8");
    const second = await useEntrance(web);
    await waitUntil("the certificate that was kept", async () =>
      (await shown(second.https, "relay.example.com")).issuer.includes("Pebble"),
    );
    expect(await second.metric("culvert_relay_certificates_total", ok)).toBe(0);
    expect(await readFile(join(stateDir, folder, "relay.example.com.pem"), "utf8")).toBe(kept);
  },
);

it("a start does not wait for an ACME server that is not there", async () => {
  const stateDir = await useTempFolder();
  const directory = `https://127.0.0.1:${await freePort()}/directory`;
  const { https, metric } = await useEntrance({ acme: { directory, email: undefined, stateDir } });
  expect((await shown(https, "relay.example.com")).issuer).toContain("CN=test");
  const failed = async (): Promise<boolean> =>
    (await metric("culvert_relay_certificates_total", { result: "failed" })) > 0;
  await waitUntil("the failure", failed);
});

it("an ACME server that wants to be left alone is asked once, and what it said is told at once", async () => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    response.writeHead(429, { "content-type": "application/problem+json", "retry-after": "1" });
    const type = "urn:ietf:params:acme:error:rateLimited";
    response.end(JSON.stringify({ type, detail: "too many certificates already", status: 429 }));
  });
  const directory = `http://127.0.0.1:${await listenForTest(server)}/directory`;
  const { log, lines } = logToLines();
  const stateDir = await useTempFolder();
  const acmeOptions = { directory, email: undefined, stateDir };
  const { https } = await useEntrance({ log, acme: acmeOptions });
  const failed = await waitUntil(
    "the failure",
    () => lines.find(({ event }) => event === "relay.certificate.failed"),
    { withinMs: 15_000 },
  );
  expect(failed["reason"]).toContain("429");
  const waitMs = Date.parse(String(failed["retryAt"])) - Date.parse(String(failed["time"]));
  expect(waitMs).toBeGreaterThan(290_000);
  expect(waitMs).toBeLessThan(610_000);
  expect(asked).toEqual(["/directory"]);
  expect((await shown(https, "relay.example.com")).issuer).toContain("CN=test");
});

it("certificates of files are taken anew when they change, and kept while the new ones cannot be used", async () => {
  const folder = await useTempFolder();
  const names = ["app.example.com"];
  const files = await makeCertificate(names, { folder });
  const { https, add, metric } = await useEntrance({ certificates: [files] });
  add("app.example.com", new LocalDevice("lan-box", 1));
  const before = (await shown(https, "app.example.com")).serial;
  const other = await makeCertificate(names);
  const result = (of: string): Promise<number> =>
    metric("culvert_relay_certificates_total", { source: "file", result: of });
  await writeFile(files.certFile, other.pem.certificatePem);
  await waitUntil("the mismatch to be seen", async () => (await result("failed")) > 0, {
    withinMs: 30_000,
  });
  expect((await shown(https, "app.example.com")).serial).toBe(before);
  await writeFile(files.keyFile, other.pem.privateKeyPem);
  await waitUntil("the new pair", async () => (await result("ok")) === 2, { withinMs: 30_000 });
  expect((await shown(https, "app.example.com")).serial).not.toBe(before);
});

/** The certificate a client is shown. */
function shown(
  port: number,
  servername: string,
): Promise<{ issuer: string; names: string; serial: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", servername, rejectUnauthorized: false });
    socket.once("error", reject);
    socket.once("secureConnect", () => {
      const { issuer, subjectAltName, serialNumber } = socket.getPeerX509Certificate()!;
      socket.destroy();
      resolve({ issuer, names: subjectAltName ?? "", serial: serialNumber });
    });
  });
}

/** Pebble and its DNS server, on ports of their own. */
async function usePebble(folder: string) {
  const work = await useTempFolder();
  const { certFile, keyFile, pem } = await makeCertificate(["localhost"], { folder: work });
  const [listen, management, dns, dnsManagement, httpPort] = await Promise.all(
    Array.from({ length: 5 }, () => freePort()),
  );
  const config = {
    pebble: {
      listenAddress: `127.0.0.1:${listen}`,
      managementListenAddress: `127.0.0.1:${management}`,
      certificate: certFile,
      privateKey: keyFile,
      httpPort,
      tlsPort: 1,
      ocspResponderURL: "",
      externalAccountBindingRequired: false,
    },
  };
  await writeFile(join(work, "config.json"), JSON.stringify(config));
  const start = (program: string, args: readonly string[]): void => {
    const child = new Child(join(folder, program), args, {
      cwd: work,
      env: { PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: "5" },
    });
    child.stdout.resume();
    child.stderr.resume();
    endWithTest(child);
  };
  const off = ["-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-defaultIPv6", ""];
  start("pebble-challtestsrv", [
    ...off,
    ...["-dnsserver", `127.0.0.1:${dns}`, "-management", `127.0.0.1:${dnsManagement}`],
  ]);
  start("pebble", ["-config", "config.json", "-dnsserver", `127.0.0.1:${dns}`]);
  // The library keeps its HTTP client to itself; an operator with a private server sets NODE_EXTRA_CA_CERTS instead.
  const before: unknown = acme.axios.defaults.httpsAgent;
  const agent = new Agent({ ca: pem.certificatePem });
  acme.axios.defaults.httpsAgent = agent;
  onTestFinished(() => {
    acme.axios.defaults.httpsAgent = before;
    agent.destroy();
  });
  const directory = `https://localhost:${listen}/dir`;
  await waitUntil("pebble", async () => (await acme.axios.get(directory)).status === 200, {
    withinMs: 20_000,
  });
  return {
    directory,
    httpPort: httpPort!,
    resolve: async (host: string, address: string): Promise<void> => {
      const body = JSON.stringify({ host: `${host}.`, addresses: [address] });
      const url = `http://127.0.0.1:${dnsManagement}/add-a`;
      await waitUntil("the name to resolve", async () => {
        const answer = await fetch(url, { method: "POST", body });
        return answer.ok;
      });
    },
  };
}

/** Pebble is built once and kept in the folder for temporary files; undefined, and a line that says why, where it cannot be. */
async function buildPebble(): Promise<string | undefined> {
  const folder = join(tmpdir(), `culvert-pebble-${process.getuid?.() ?? 0}`);
  const programs = ["pebble", "pebble-challtestsrv"];
  if (programs.every((program) => existsSync(join(folder, program)))) return folder;
  const go = findProgram("go") ?? "/usr/local/go/bin/go";
  if (!existsSync(go)) {
    console.warn("skipped: not installed here: go, to build the ACME server pebble");
    return undefined;
  }
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const module = "github.com/letsencrypt/pebble/v2/cmd";
  const built = await run(
    go,
    ["install", ...programs.map((program) => `${module}/${program}@v2.10.1`)],
    { env: { GOBIN: folder }, timeoutMs: 300_000 },
  ).catch((error: unknown) => ({ code: 1, stderr: String(error) }));
  if (built.code === 0) return folder;
  console.warn(`skipped: cannot build the ACME server pebble: ${built.stderr.slice(-500)}`);
  return undefined;
}
