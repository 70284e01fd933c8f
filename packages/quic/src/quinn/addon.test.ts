import { TransportError } from "@culvert/runtime";
import { expect, it } from "vitest";
import { loadAddon, quinnAvailable } from "./addon.ts";

it("names the package to install and the command where the addon is missing", () => {
  const platform = process.platform === "darwin" ? "win32" : "darwin";
  const build = platform === "darwin" ? "darwin-x64" : "win32-x64-msvc";
  const name = `@chainsafe/libp2p-quic-${build}`;
  expect(() => loadAddon(platform, "x64")).toThrow(TransportError);
  expect(() => loadAddon(platform, "x64")).toThrow(
    `the quinn engine needs the package ${name}, which is not installed; run: npm install ${name}@2.1.4`,
  );
});

it("says so where no addon is built", () => {
  expect(() => loadAddon("aix", "ppc64")).toThrow("there is no quinn addon for aix on ppc64");
});

it.skipIf(!quinnAvailable())("loads what the engine uses", () => {
  const addon = loadAddon();
  expect(addon).toMatchObject({
    QuinnConfig: expect.any(Function) as unknown,
    Server: expect.any(Function) as unknown,
    Client: expect.any(Function) as unknown,
  });
});
