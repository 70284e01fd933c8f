import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { closingCases } from "./closing-cases.ts";
import { drainingCases } from "./draining-cases.ts";
import { endingCases } from "./ending-cases.ts";
import { complianceSettings, EngineHarness } from "./engine-harness.ts";
import type { EngineComplianceOptions, EnginePair } from "./engine-pair.ts";
import type { EngineSuite } from "./engine-suite.ts";
import { flowCases } from "./flow-cases.ts";
import { handshakeCases } from "./handshake-cases.ts";
import { transferCases } from "./transfer-cases.ts";
import { watchForCrashes, type CrashWatch } from "../crash-watch.ts";

/**
 * Declares a vitest suite that holds two QUIC engines to everything `QuicEngine` promises. Real time, real sockets, and peers in
 * child processes; under a minute an engine.
 */
export function engineCompliance(options: EngineComplianceOptions): void {
  const title = `engine compliance: ${options.name}`;
  describe.skipIf(options.skip !== undefined)(
    options.skip === undefined ? title : `${title} (skipped: ${options.skip})`,
    () => {
      let pair: EnginePair | undefined;
      let crashes: CrashWatch | undefined;
      beforeAll(async () => {
        crashes = watchForCrashes();
        pair = await options.setup();
      });
      afterAll(() => crashes?.stop());

      const suite: EngineSuite = {
        options,
        lacks: (what) => options.lacks?.includes(what) === true,
        test(name, body, { limitMs = 20_000, unless } = {}) {
          const fullName = unless === undefined ? name : `${name} (skipped: ${unless})`;
          test.skipIf(unless !== undefined)(fullName, { timeout: limitMs }, async () => {
            if (pair === undefined) throw new Error("set-up failed");
            const settings = { ...complianceSettings, ...options.settings };
            const harness = new EngineHarness(pair, settings);
            try {
              await body(harness);
            } finally {
              await harness.close();
            }
            // What a late frame breaks comes a turn or two after the close.
            for (let turn = 0; turn < 5; turn += 1) {
              await new Promise((resolve) => setImmediate(resolve));
            }
            expect(crashes?.take()).toEqual([]);
          });
        },
      };
      for (const cases of [
        handshakeCases,
        transferCases,
        endingCases,
        drainingCases,
        flowCases,
        closingCases,
      ]) {
        cases(suite);
      }
    },
  );
}
