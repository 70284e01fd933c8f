import { frame, frameKind } from "./agent-process.ts";

/** What a test looks for after a fault. */
export interface Outcome {
  /**
   * `lives`: the process goes on until its standard input ends. `ends`: the fault ends it, with this exit code.
   */
  readonly then: "lives" | { readonly endsWith: number };
  /** Request ids that are answered with a result that has `data`, in order. */
  readonly results?: readonly number[];
  /** Request ids that are answered with a result that has `error`, in order, after the others. */
  readonly errors?: readonly number[];
  /** What standard error must hold. */
  readonly says?: RegExp;
}

/** One of the 28 faults: what a fresh agent is given, and what either implementation makes of it. */
export interface FaultCase {
  readonly name: string;
  readonly input: Uint8Array;
  /** Standard input ends right after `input`. */
  readonly hangUp?: true;
  readonly real: Outcome;
  /** Absent where ours does the same and says something of its own. */
  readonly ours?: Outcome;
}

const good = {
  me: "127.0.42.100",
  http: {},
  socks: {},
  loopback: { disable: true },
  stateDir: { disable: true },
};

const answered = (id: number): Outcome => ({ then: "lives", results: [id] });
const silent = (says: RegExp): Outcome => ({ then: "lives", says });
/** The original says nothing to its manager when configure fails; ours sends a result with an error. */
const refused = (id: number, says: RegExp): Outcome => ({ then: "lives", errors: [id], says });
const ends = (endsWith: number, says: RegExp): Outcome => ({ then: { endsWith }, says });

/** The faults, in the order and with the numbers of their table in the documentation. */
export const faultCases: readonly FaultCase[] = [
  {
    name: "1: wrong magic",
    input: hex("43000004 0001 0000"),
    real: ends(1, /expected magic to be 0x42, got 0x43/),
    ours: ends(1, /begins with 0x42, not with 0x43/),
  },
  {
    name: "2: length 0",
    input: hex("42000000"),
    real: ends(1, /receiver\.Recv: EOF/),
    ours: ends(1, /of length 0/),
  },
  {
    name: "3: length 3",
    input: hex("42000003 0002 00"),
    real: ends(1, /unexpected EOF/),
    ours: ends(1, /of length 3/),
  },
  {
    name: "4: JSON without a document",
    input: hex("42000004 0002 0000"),
    real: silent(/unexpected end of JSON input/),
    ours: silent(/JSON/i),
  },
  {
    name: "5: unknown frame type",
    input: hex("42000004 0009 0000"),
    real: silent(/unknown packet type 9/),
    ours: silent(/type"?[ :]+9/),
  },
  {
    name: "6: reserved bytes set",
    input: frame(frameKind.json, document(configure(good)), 0xbeef),
    real: answered(7),
  },
  {
    name: "7: end of input at once",
    input: new Uint8Array(),
    hangUp: true,
    real: ends(1, /receiver\.Recv: EOF/),
    ours: ends(1, /end of input/),
  },
  {
    name: "8: end of input inside a frame",
    input: hex("42000010 0002"),
    hangUp: true,
    real: ends(1, /unexpected EOF/),
    ours: ends(1, /frame/),
  },
  {
    name: "9: a packet before configure",
    input: frame(frameKind.l3, new Uint8Array(40).fill(0x45)),
    real: silent(/received L3 before configuration/),
    ours: silent(/before/),
  },
  {
    name: "10: a packet of 10 bytes",
    input: Buffer.concat([
      frame(frameKind.json, document(configure(good))),
      frame(frameKind.l3, new Uint8Array(10).fill(0x45)),
    ]),
    // The original reads past the end of the packet and panics.
    real: { then: { endsWith: 2 }, results: [7], says: /slice bounds out of range/ },
    ours: { then: "lives", results: [7] },
  },
  {
    name: "11: configure twice",
    input: Buffer.concat([
      frame(frameKind.json, document(configure(good))),
      frame(frameKind.json, document(configure(good, 8))),
    ]),
    real: { then: "lives", results: [7], says: /agent is already configured/ },
    ours: { then: "lives", results: [7], errors: [8], says: /already/ },
  },
  {
    name: "12: unknown operation",
    input: json({ type: "request", body: { id: 7, op: "nope", args: good } }),
    real: silent(/unexpected JSON op: .*nope/),
    ours: refused(7, /nope/),
  },
  {
    name: "13: unknown message type",
    input: json({ type: "response", body: { id: 7, op: "configure", args: good } }),
    real: silent(/unexpected message type: .*response/),
    ours: silent(/response/),
  },
  {
    name: "14: no JSON",
    input: frame(frameKind.json, Buffer.from("{nope")),
    real: silent(/invalid character 'n'/),
    ours: silent(/JSON/i),
  },
  {
    name: "15: me is an IPv6 address",
    input: json(configure({ ...good, me: "::1" })),
    real: silent(/unexpected IP ::1/),
    ours: refused(7, /::1/),
  },
  {
    name: "16: no me",
    input: json(configure({ ...good, me: undefined })),
    real: silent(/unexpected IP <nil>/),
    ours: refused(7, /me/),
  },
  {
    name: "17: me ends in .0",
    input: json(configure({ ...good, me: "127.0.42.0" })),
    real: answered(7),
  },
  {
    name: "18: a forward of UDP",
    input: json(configure({ ...good, forwards: [{ ...forward(80), proto: "udp" }] })),
    real: silent(/expected proto be .*tcp.*, got .*udp/),
    ours: refused(7, /udp/),
  },
  {
    name: "19: a forward without proto",
    input: json(configure({ ...good, forwards: [{ ...forward(80), proto: undefined }] })),
    real: silent(/expected proto be .*tcp.*, got/),
    ours: refused(7, /proto/),
  },
  {
    name: "20: keys in any case, and an unknown one",
    input: json({
      TYPE: "request",
      zzz: 1,
      Body: {
        ID: 9,
        OP: "configure",
        args: { ME: good.me, StateDir: good.stateDir, LOOPBACK: good.loopback, zzz: [] },
      },
    }),
    real: answered(9),
  },
  {
    name: "21: null for arrays",
    input: json(
      configure({
        ...good,
        forwards: null,
        routes: [{ toCIDR: null, toHostnameGlob: null, via: "127.0.42.101" }],
        http: { listen: "127.0.0.1:0" },
      }),
    ),
    real: answered(7),
  },
  {
    name: "22: a route of no network, without a proxy",
    input: json(configure({ ...good, routes: [route(["nope"])] })),
    real: answered(7),
  },
  {
    name: "23: a route of no network, with a proxy",
    input: json(configure({ ...good, routes: [route(["nope"])], http: { listen: "127.0.0.1:0" } })),
    real: silent(/invalid CIDR address: nope/),
    ours: refused(7, /nope/),
  },
  {
    name: "24: a string for the array of networks",
    input: json(configure({ ...good, routes: [route("10.0.0.0/8")] })),
    real: silent(/cannot unmarshal string into Go struct field/),
    ours: refused(7, /toCIDR/),
  },
  {
    name: "25: two forwards from one port",
    input: json(configure({ ...good, forwards: [forward(80), forward(80)] })),
    real: silent(/port is in use/),
    ours: refused(7, /80/),
  },
  {
    name: "26: no address for the HTTP proxy",
    input: json(configure({ ...good, http: { listen: "nonsense" } })),
    real: silent(/missing port in address/),
    ours: refused(7, /nonsense/),
  },
  {
    name: "27: its own name server by UDP",
    input: json(configure({ ...good, nameServers: [{ ip: good.me, port: 10053, proto: "udp" }] })),
    real: silent(/expected .*tcp.*, got .*udp.* as the built-in DNS port/),
    ours: refused(7, /udp/),
  },
  {
    name: "28: configure without arguments",
    input: json({ type: "request", body: { id: 7, op: "configure" } }),
    real: silent(/unexpected end of JSON input/),
    ours: refused(7, /args|me/),
  },
];

function configure(args: object, id = 7): object {
  return { type: "request", body: { id, op: "configure", args } };
}

function forward(port: number): object {
  return { listen_port: port, connect_ip: "127.0.0.1", connect_port: 80, proto: "tcp" };
}

function route(toCIDR: unknown): object {
  return { toCIDR, toHostnameGlob: null, via: "127.0.42.101" };
}

function document(message: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(message));
}

function json(message: unknown): Uint8Array {
  return frame(frameKind.json, document(message));
}

function hex(text: string): Uint8Array {
  return Buffer.from(text.replaceAll(" ", ""), "hex");
}
