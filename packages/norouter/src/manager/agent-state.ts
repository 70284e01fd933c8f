/** Where the agent of a host stands. */
export type AgentState =
  /** Its command runs and it was told what it is to do. With a reason where it takes long to answer. */
  | { readonly kind: "starting"; readonly reason?: string | undefined }
  /** It has said that it does it. */
  | { readonly kind: "ready"; readonly version: string; readonly features: readonly string[] }
  /** It was ready, and its command runs, but it does nothing any more. */
  | { readonly kind: "stuck"; readonly reason: string }
  /** Its command has ended, or it could not do what it was told; it will be started again. */
  | { readonly kind: "waiting"; readonly reason: string }
  /** Its command has ended and will not be started again. */
  | { readonly kind: "gone"; readonly reason: string }
  /** It was ended by us. */
  | { readonly kind: "stopped" };

/** An agent as `culvert norouter status` shows it. */
export interface AgentStatus {
  readonly name: string;
  readonly vip: string;
  readonly state: AgentState["kind"];
  /** Why it is not ready. */
  readonly reason?: string | undefined;
  readonly version?: string | undefined;
  readonly pid?: number | undefined;
  /** How long it has been in this state. */
  readonly ageMs: number;
  /** How often it was started after the first time. */
  readonly restarts: number;
  /** Bytes that wait for it now. */
  readonly queuedBytes: number;
  /** Packets to it that were dropped since its command runs. */
  readonly droppedPackets: number;
}
