import {
  createQuicheEngine,
  createQuinnEngine,
  quinnAvailable,
  type EngineDeps,
  type QuicEngine,
} from "@culvert/quic";
import type { Engines } from "./quic-dialer.ts";

/** The engines of this process, each made when first asked for. */
export function createEngines(deps: EngineDeps): Engines {
  let quiche: QuicEngine | undefined;
  let quinn: QuicEngine | undefined;
  return {
    get: (name) =>
      name === "quiche"
        ? (quiche ??= createQuicheEngine(deps))
        : (quinn ??= createQuinnEngine(deps)),
    quinnAvailable,
  };
}
