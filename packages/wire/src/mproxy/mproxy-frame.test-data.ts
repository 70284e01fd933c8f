import fc from "fast-check";
import { noConnection, reservedWords, type MproxyFrame } from "./mproxy-frame.ts";

/** A frame and the body that goes with it. */
export interface FrameAndBody {
  readonly frame: MproxyFrame;
  readonly body: Uint8Array;
}

const letters = "abcdefghijklmnopqrstuvwxyz0123456789-.:_*";
const word = (maxLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...letters.split(/(?:)/u)), maxLength });
const address = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constant("::ffff:203.0.113.7"));
const port = fc.integer({ min: 0, max: 65_535 }).map(String);
const service = fc.oneof(
  fc.constantFrom("https", "http", "tcp", "foo"),
  word(12).filter((text) => !Object.hasOwn(reservedWords, text)),
);
const body = fc.uint8Array({ maxLength: 400 });
const jsonBody = fc
  .jsonValue({ maxDepth: 2 })
  .map((value) => new TextEncoder().encode(JSON.stringify([value])).subarray(0, 4_000));

/** Frames as the programs send them: all kinds, names in other scripts, empty fields. */
export const anyFrame: fc.Arbitrary<FrameAndBody> = fc
  .record({
    kind: fc.constantFrom("data", "data", "connection", "end", "error", "pause", "resume"),
    family: fc.constantFrom("IPv4", "IPv6", "culvert"),
    address,
    port,
    service,
    servicePort: fc.oneof(fc.constant(""), port),
    name: fc.oneof(word(60), fc.constantFrom("bücher.example", "пример.example", "例え.jp")),
    body,
    json: jsonBody,
    control: fc.boolean(),
  })
  .map((given) => {
    const { kind, family, port, service, servicePort, name, json } = given;
    if (given.control && kind === "data") {
      return {
        frame: {
          kind: "control",
          connection: noConnection,
          service: undefined,
          servicePort: undefined,
          name: undefined,
          length: json.length,
        },
        body: json,
      };
    }
    const bytes =
      kind === "data" || kind === "connection"
        ? given.body
        : kind === "error"
          ? new TextEncoder().encode('{"message":"over","code":"E_OVER"}')
          : kind === "end"
            ? new Uint8Array(0)
            : new TextEncoder().encode(String(given.body.length));
    return {
      frame: {
        kind,
        connection: { family, address: given.address, port },
        service: kind === "data" || kind === "connection" ? service : undefined,
        servicePort,
        name,
        length: bytes.length,
      },
      body: bytes,
    };
  });
