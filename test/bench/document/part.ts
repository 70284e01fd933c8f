/** The sections of docs/performance.md that are filled by measuring. */
export type Section = "comparison" | "growth" | "paths";

/** What a part gave. */
export interface Measured {
  /** Its tables as Markdown. */
  readonly text: string;
  /** The numbers behind them, for the folder of results. */
  readonly json: unknown;
  /** What of it could not be measured, one line each. */
  readonly problems: readonly string[];
}

/** One piece of the document's run, which fails and is written alone. */
export interface Part {
  readonly name: string;
  readonly section: Section;
  /** What stands above its tables. */
  readonly title: string;
  /** About how long it takes on a quiet machine with two cores. */
  readonly plannedSeconds: number;
  measure(): Promise<Measured>;
}
