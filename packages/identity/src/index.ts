export type { Identity, PeerId } from "./identity.ts";
