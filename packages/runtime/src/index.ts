export { BoundedQueue } from "./bounded-queue.ts";
export { formatByteSize, parseByteSize } from "./byte-size.ts";
export { isSharingNoMemory, sharesNoMemory, type ByteStream } from "./byte-stream.ts";
export { systemClock, sleep, type Clock, type Timer } from "./clock.ts";
export { formatCloseReason, type CloseReason } from "./close-reason.ts";
export { CommandProcess, type CommandEnd, type CommandOptions } from "./command-process.ts";
export { withDeadline, type DeadlineOptions } from "./deadline.ts";
export { formatMillis, millis, parseMillis, type Millis } from "./duration.ts";
export {
  ConfigError,
  CulvertError,
  errorText,
  InternalError,
  LimitError,
  systemCode,
  TransportError,
  WireError,
  type ErrorDetails,
} from "./errors.ts";
export { LineSplitter } from "./line-splitter.ts";
export { systemRandom, type Random } from "./random.ts";
export { RetrySchedule, type RetryOptions } from "./retry-schedule.ts";
export { releaseBuffer } from "./release-buffer.ts";
export { Scope } from "./scope.ts";
export { splice, type SpliceProgress, type SpliceResult } from "./splice.ts";
export { tcpByteStream } from "./tcp-byte-stream.ts";
