/** What the process tells its caller when it ends. */
export const ExitCode = {
  /** All went well. */
  Ok: 0,
  /** Failed while running. */
  Failure: 1,
  /** The command line or the configuration is wrong. */
  Usage: 2,
} as const;

/** One of {@link ExitCode}. */
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];
