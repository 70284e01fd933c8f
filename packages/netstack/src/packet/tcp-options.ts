import { readUint16, readUint32, writeUint16, writeUint32 } from "./ipv4.ts";

/** A run of bytes the receiver holds: from `start` up to, and without, `end`; both unsigned 32-bit sequence numbers. */
export interface SackBlock {
  readonly start: number;
  readonly end: number;
}

/** The TCP options the stack knows. Others are skipped. */
export interface TcpOptions {
  /** Maximum segment size in bytes, only with SYN (RFC 9293 §3.7.1). */
  readonly mss?: number | undefined;
  /** Shift of the window, 0 to 14, only with SYN (RFC 7323 §2.2). A greater one is read as 14. */
  readonly windowScale?: number | undefined;
  /** Only with SYN (RFC 2018 §2). */
  readonly sackPermitted?: boolean | undefined;
  /** RFC 7323 §3.2. */
  readonly timestamps?: TcpTimestamps | undefined;
  /** At most four (RFC 2018 §3), three beside timestamps: more are not written. */
  readonly sack?: readonly SackBlock[] | undefined;
}

/** The timestamps option: both unsigned 32-bit. */
export interface TcpTimestamps {
  /** The sender's own clock. */
  readonly value: number;
  /** The latest value it has from its peer. */
  readonly echo: number;
}

/** A segment without options. It has the shape that reading gives, so that engines see one kind of object. */
export const noTcpOptions: TcpOptions = {
  mss: undefined,
  windowScale: undefined,
  sackPermitted: undefined,
  timestamps: undefined,
  sack: undefined,
};

/**
 * Reads the options between two offsets, which must lie within the bytes. An option whose length is wrong ends the reading: what came
 * before it stands (RFC 9293 §3.1 asks that illegal lengths do no harm).
 */
export function readTcpOptions(bytes: Uint8Array, start: number, end: number): TcpOptions {
  let mss: number | undefined;
  let windowScale: number | undefined;
  let sackPermitted: boolean | undefined;
  let timestamps: TcpTimestamps | undefined;
  let sack: SackBlock[] | undefined;
  let at = start;
  while (at < end) {
    const kind = bytes[at] ?? 0;
    if (kind === optionKind.end) break;
    if (kind === optionKind.noOperation) {
      at++;
      continue;
    }
    if (at + 1 >= end) break;
    const length = bytes[at + 1] ?? 0;
    if (length < 2 || at + length > end) break;
    if (kind === optionKind.timestamps && length === 10) {
      timestamps = { value: readUint32(bytes, at + 2), echo: readUint32(bytes, at + 6) };
    } else if (kind === optionKind.sack && length >= 10 && (length - 2) % 8 === 0) {
      sack = [];
      for (let block = at + 2; block < at + length; block += 8) {
        sack.push({ start: readUint32(bytes, block), end: readUint32(bytes, block + 4) });
      }
    } else if (kind === optionKind.mss && length === 4) {
      mss = readUint16(bytes, at + 2);
    } else if (kind === optionKind.windowScale && length === 3) {
      windowScale = Math.min(bytes[at + 2] ?? 0, maxWindowScale);
    } else if (kind === optionKind.sackPermitted && length === 2) {
      sackPermitted = true;
    }
    at += length;
  }
  return { mss, windowScale, sackPermitted, timestamps, sack };
}

/** How many bytes {@link writeTcpOptions} writes: a multiple of 4, at most 40. */
export function tcpOptionBytes(options: TcpOptions): number {
  const timestamps = options.timestamps !== undefined;
  const permitted = options.sackPermitted === true;
  return (
    (options.mss === undefined ? 0 : 4) +
    (timestamps ? 12 : permitted ? 4 : 0) +
    (options.windowScale === undefined ? 0 : 4) +
    sackBytes(options)
  );
}

/**
 * Writes the options, each padded in front to a multiple of 4 bytes; "SACK permitted" takes the room of the padding of the
 * timestamps, as other stacks do it (RFC 7323 appendix A).
 */
export function writeTcpOptions(bytes: Uint8Array, start: number, options: TcpOptions): void {
  let at = start;
  const { mss, windowScale, timestamps, sack } = options;
  if (mss !== undefined) {
    writeUint16(bytes, at, (optionKind.mss << 8) | 4);
    writeUint16(bytes, at + 2, mss);
    at += 4;
  }
  if (timestamps !== undefined) {
    writeUint16(bytes, at, options.sackPermitted === true ? sackPermittedOption : twoNoOperations);
    writeUint16(bytes, at + 2, (optionKind.timestamps << 8) | 10);
    writeUint32(bytes, at + 4, timestamps.value);
    writeUint32(bytes, at + 8, timestamps.echo);
    at += 12;
  } else if (options.sackPermitted === true) {
    writeUint16(bytes, at, twoNoOperations);
    writeUint16(bytes, at + 2, sackPermittedOption);
    at += 4;
  }
  if (windowScale !== undefined) {
    writeUint16(bytes, at, (optionKind.noOperation << 8) | optionKind.windowScale);
    writeUint16(bytes, at + 2, (3 << 8) | windowScale);
    at += 4;
  }
  const blocks = sackBytes(options);
  if (sack === undefined || blocks === 0) return;
  writeUint16(bytes, at, twoNoOperations);
  writeUint16(bytes, at + 2, (optionKind.sack << 8) | (blocks - 2));
  for (const block of sack.slice(0, maxSackBlocks(options))) {
    at += 8;
    writeUint32(bytes, at - 4, block.start);
    writeUint32(bytes, at, block.end);
  }
}

/** Option kinds (RFC 9293 §3.1, RFC 7323 §2.2 and §3.2, RFC 2018 §2 and §3). */
const optionKind = {
  end: 0,
  noOperation: 1,
  mss: 2,
  windowScale: 3,
  sackPermitted: 4,
  sack: 5,
  timestamps: 8,
} as const;

const twoNoOperations = 0x0101;
const sackPermittedOption = (optionKind.sackPermitted << 8) | 2;
/** RFC 7323 §2.3. */
const maxWindowScale = 14;

function sackBytes(options: TcpOptions): number {
  const blocks = Math.min(options.sack?.length ?? 0, maxSackBlocks(options));
  return blocks === 0 ? 0 : 4 + blocks * 8;
}

/** What fits into the 40 bytes of options; blocks never go with SYN, so the other options need not be counted. */
function maxSackBlocks(options: TcpOptions): number {
  return options.timestamps === undefined ? 4 : 3;
}
