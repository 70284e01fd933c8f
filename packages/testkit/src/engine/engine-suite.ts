import type { EngineComplianceOptions, EngineLack } from "./engine-pair.ts";
import type { EngineHarness } from "./engine-harness.ts";

/** What a file of compliance cases gets. */
export interface EngineSuite {
  readonly options: EngineComplianceOptions;
  /** Adds a case. Its harness is closed after it, and no crash may have been seen. */
  test(
    title: string,
    body: (harness: EngineHarness) => Promise<void>,
    options?: { readonly limitMs?: number; readonly unless?: string | undefined },
  ): void;
  /** Whether the pair cannot do this. */
  lacks(what: EngineLack): boolean;
}
