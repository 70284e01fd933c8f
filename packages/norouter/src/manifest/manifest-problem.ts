/** Something about a manifest that its writer should know. */
export interface ManifestProblem {
  /** From 1; undefined where it is about the file as a whole. */
  readonly line?: number | undefined;
  readonly text: string;
}

/** A problem as people read it: `line 12: hosts.web.vip: …`. */
export function formatProblem({ line, text }: ManifestProblem): string {
  return line === undefined ? text : `line ${line}: ${text}`;
}
