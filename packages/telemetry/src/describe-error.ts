import { CulvertError, systemCode } from "@culvert/runtime";

/** An error as plain data for a log line. */
export interface ErrorDescription {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly cause?: ErrorDescription;
  /** Only for errors that are not ours, since those are the ones whose origin is not known. */
  readonly stack?: string;
}

/** Turns any thrown value into plain data, with at most four causes. */
export function describeError(error: unknown, depth = 0): ErrorDescription {
  if (!(error instanceof Error)) return { name: typeof error, message: String(error) };
  const ours = error instanceof CulvertError;
  const code = systemCode(error);
  const hasData = ours && Object.keys(error.data).length > 0;
  const hasCause = error.cause !== undefined && depth < mostCauses;
  return {
    name: error.name,
    message: error.message,
    ...(code === undefined ? {} : { code }),
    ...(hasData ? { data: error.data } : {}),
    ...(hasCause ? { cause: describeError(error.cause, depth + 1) } : {}),
    ...(ours || code !== undefined || error.stack === undefined ? {} : { stack: error.stack }),
  };
}

const mostCauses = 4;
