import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createRegistry, silentLog } from "@culvert/telemetry";
import { seededRandom, VirtualClock } from "@culvert/testkit";
import { CertificateStore, readCertificate, type CertificatePem } from "../certificate-store.ts";
import { PublicMetrics } from "../metrics.ts";
import { AcmeCertificates, renewalMs } from "./acme-certificates.ts";

const day = 86_400_000;

it("a name without a certificate is ordered at once, and anew when a third of its life is left", async () => {
  const world = createWorld(["app.example.com"]);
  world.certificates.look();
  await world.clock.advance(0);
  expect(world.ordered).toEqual(["app.example.com"]);
  expect(world.saved).toEqual(["app.example.com"]);
  expect(world.store.find("app.example.com")?.names).toEqual(["app.example.com"]);
  const { notBeforeMs, notAfterMs } = readCertificate(certificate);
  const untilRenewal = renewalMs(readCertificate(certificate)) - world.clock.wallNowMs();
  expect(Math.round((notAfterMs - notBeforeMs) / day)).toBe(90);
  await world.clock.advance(untilRenewal - 1_000);
  expect(world.ordered).toHaveLength(1);
  await world.clock.advance(2_000);
  expect(world.ordered).toHaveLength(2);
  // The server gives the old certificate again: it is asked each hour, and not all the time.
  await world.clock.advance(2.5 * 3_600_000);
  expect(world.ordered).toHaveLength(4);
});

it("what an earlier run has kept is used, and not ordered again before its time", async () => {
  const world = createWorld(["app.example.com"], { kept: certificate });
  world.certificates.look();
  await world.clock.advance(day);
  expect(world.ordered).toEqual([]);
  expect(world.store.find("app.example.com")).toBeDefined();
});

it("a failing name waits longer each time, at most a day, and holds up no other", async () => {
  const world = createWorld(["bad.example.com", "app.example.com"], { failing: "bad.example.com" });
  world.certificates.look();
  await world.clock.advance(0);
  expect(world.store.find("app.example.com")).toBeDefined();
  await world.clock.advance(3_600_000);
  const firstHour = world.tries("bad.example.com");
  expect(firstHour).toBeGreaterThanOrEqual(2);
  expect(firstHour).toBeLessThanOrEqual(5);
  await world.clock.advance(10 * day);
  const later = world.tries("bad.example.com");
  expect(later - firstHour).toBeGreaterThanOrEqual(10);
  expect(later - firstHour).toBeLessThanOrEqual(30);
  expect(world.tries("app.example.com")).toBe(1);
});

it("a renewal that fails leaves the certificate in use until its end, waits at most a day, and starts anew after a success", async () => {
  const state = { failing: true };
  const world = createWorld(["app.example.com"], {
    kept: certificate,
    fails: () => state.failing,
  });
  const { notAfterMs } = readCertificate(certificate);
  world.certificates.look();
  await world.clock.advance(renewalMs(readCertificate(certificate)) - world.clock.wallNowMs() + 1);
  expect(world.tries("app.example.com")).toBeGreaterThanOrEqual(1);
  let before = world.tries("app.example.com");
  while (world.clock.wallNowMs() < notAfterMs - 2 * day) {
    await world.clock.advance(1.1 * day);
    const now = world.tries("app.example.com");
    expect(now - before).toBeGreaterThanOrEqual(1);
    // The first day: ten minutes, and twice as long each time.
    expect(now - before).toBeLessThanOrEqual(12);
    before = now;
    expect(world.store.find("app.example.com")?.notAfterMs).toBe(notAfterMs);
  }
  expect(world.saved).toEqual([]);
  state.failing = false;
  await world.clock.advance(1.1 * day);
  expect(world.saved).toContain("app.example.com");
});

it("a name that is new is ordered when it is told of, and nothing after the close", async () => {
  const names = ["app.example.com"];
  const world = createWorld(names);
  world.certificates.look();
  await world.clock.advance(0);
  names.push("new.example.com");
  world.certificates.look();
  await world.clock.advance(0);
  expect(world.ordered).toEqual(["app.example.com", "new.example.com"]);
  world.certificates.close();
  names.push("later.example.com");
  world.certificates.look();
  await world.clock.advance(100 * day);
  expect(world.ordered).toHaveLength(2);
  expect(world.clock.pendingTimers).toBe(0);
});

const certificate = makeCertificate();

function createWorld(
  names: readonly string[],
  {
    kept,
    failing,
    fails = (name) => name === failing,
  }: { kept?: CertificatePem; failing?: string; fails?: (name: string) => boolean } = {},
) {
  const clock = new VirtualClock(readCertificate(certificate).notBeforeMs);
  const store = new CertificateStore(readCertificate(certificate));
  const ordered: string[] = [];
  const saved: string[] = [];
  const certificates = new AcmeCertificates({
    clock,
    random: seededRandom(7),
    log: silentLog,
    metrics: new PublicMetrics(createRegistry()),
    store,
    wanted: () => names,
    order: (name) => {
      ordered.push(name);
      return fails(name) ? Promise.reject(new Error("no")) : Promise.resolve(certificate);
    },
    state: {
      load: () => Promise.resolve(kept),
      save: (name) => {
        saved.push(name);
        return Promise.resolve();
      },
    },
  });
  const tries = (name: string): number => ordered.filter((one) => one === name).length;
  return { clock, store, certificates, ordered, saved, tries };
}

function makeCertificate(): CertificatePem {
  const folder = mkdtempSync(join(tmpdir(), "culvert-acme-"));
  try {
    const [certFile, keyFile] = [join(folder, "crt"), join(folder, "key")];
    execFileSync(
      "openssl",
      [
        ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=t".split(
          " ",
        ),
        ...["-days", "90", "-addext", "subjectAltName=DNS:app.example.com"],
        ...["-out", certFile, "-keyout", keyFile],
      ],
      { stdio: "ignore" },
    );
    return {
      certificatePem: readFileSync(certFile, "utf8"),
      privateKeyPem: readFileSync(keyFile, "utf8"),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
