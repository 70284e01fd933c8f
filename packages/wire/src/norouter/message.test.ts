import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WireError } from "@culvert/runtime";
import {
  configureRequest,
  configureResult,
  errorResult,
  parseConfigureArgs,
  parseConfigureResult,
  parseMessage,
  parseRouteSuggestion,
  resultErrorText,
  routeSuggestionEvent,
  serializeMessage,
  type ConfigureArgs,
  type NorouterRequest,
  type NorouterResult,
} from "./index.ts";

const empty: ConfigureArgs = {
  me: "127.0.42.100",
  forwards: [],
  others: [],
  hostnameMap: new Map(),
  http: { listen: "" },
  socks: { listen: "" },
  loopback: { disable: false },
  stateDir: { path: "", disable: false },
  writeEtcHosts: false,
  routes: [],
  nameServers: [],
};

const address = fc.ipV4();
const port = fc.nat(65_535);
const addressPort = fc.record({ ip: address, port, proto: fc.constantFrom("tcp", "udp") });
const anyArgs: fc.Arbitrary<ConfigureArgs> = fc.record({
  me: address,
  forwards: fc.array(
    fc.record({ listenPort: port, connectIp: fc.string(), connectPort: port, proto: fc.string() }),
  ),
  others: fc.array(addressPort),
  hostnameMap: fc.array(fc.tuple(fc.string(), address)).map((entries) => new Map(entries)),
  http: fc.record({ listen: fc.string() }),
  socks: fc.record({ listen: fc.string() }),
  loopback: fc.record({ disable: fc.boolean() }),
  stateDir: fc.record({ path: fc.string({ unit: "grapheme" }), disable: fc.boolean() }),
  writeEtcHosts: fc.boolean(),
  routes: fc.array(
    fc.record({
      toCidr: fc.array(fc.string()),
      toHostnameGlob: fc.array(fc.string()),
      via: address,
    }),
  ),
  nameServers: fc.array(addressPort),
});

function bytes(text: string): Uint8Array {
  return Buffer.from(text);
}

function json(value: unknown): Uint8Array {
  return bytes(JSON.stringify(value));
}

function textOf(payload: Uint8Array): string {
  return Buffer.from(payload).toString();
}

function refusal(run: () => unknown): WireError {
  try {
    run();
  } catch (error) {
    if (error instanceof WireError) return error;
    throw error;
  }
  throw new Error("it was taken");
}

describe("configure", () => {
  it("is understood as it was meant", () => {
    fc.assert(
      fc.property(anyArgs, fc.nat(), (args, id) => {
        const request = parseMessage(serializeMessage(configureRequest(id, args)));
        expect(request).toMatchObject({ kind: "request", id, op: "configure" });
        expect(parseConfigureArgs((request as NorouterRequest).args)).toEqual(args);
      }),
    );
  });

  it("sorts names as Go does and escapes what Go escapes", () => {
    const hostnameMap = new Map([
      ["b&<>\u2028\u2029", "10.0.0.3"],
      ["\u{10000}", "10.0.0.5"],
      ["\uffee", "10.0.0.4"],
      ["10", "10.0.0.2"],
      ["9", "10.0.0.6"],
      ["B", "10.0.0.7"],
    ]);
    const text = textOf(serializeMessage(configureRequest(1, { ...empty, hostnameMap })));
    expect(text).toContain(
      '"hostnameMap":{"10":"10.0.0.2","9":"10.0.0.6","B":"10.0.0.7",' +
        String.raw`"b\u0026\u003c\u003e\u2028\u2029":"10.0.0.3",` +
        '"\uffee":"10.0.0.4","\u{10000}":"10.0.0.5"},"http":{},"socks":{},"loopback":{},"stateDir":{}',
    );
  });

  it("takes members in any case, unknown ones, and null for nothing", () => {
    const request = parseMessage(
      bytes(`{"TYPE":"request","zzz":1,"Body":{"ID":9,"OP":"configure","args":{"ME":"127.0.42.9",
        "forwards":null,"statedir":{"Path":"x"},"LOOPBACK":{"DISABLE":true},"\u017focks":null,
        "others":[null],"routes":[{"ToCidr":null,"TOHOSTNAMEGLOB":["*.a",null],"via":null}]}}}`),
    ) as NorouterRequest;
    expect(request.id).toBe(9);
    expect(parseConfigureArgs(request.args)).toEqual({
      ...empty,
      me: "127.0.42.9",
      others: [{ ip: "", port: 0, proto: "" }],
      loopback: { disable: true },
      stateDir: { path: "x", disable: false },
      routes: [{ toCidr: [], toHostnameGlob: ["*.a", ""], via: "" }],
    });
  });

  it("takes the last of members that differ in case", () => {
    expect(parseConfigureArgs({ ME: "10.0.0.1", me: "10.0.0.2" }).me).toBe("10.0.0.2");
    expect(parseConfigureArgs({ me: "10.0.0.2", ME: "10.0.0.1" }).me).toBe("10.0.0.1");
  });

  it("takes names that objects of the language know", () => {
    const args = JSON.parse('{"hostnameMap":{"__proto__":"10.0.0.1"}}') as unknown;
    expect([...parseConfigureArgs(args).hostnameMap]).toEqual([["__proto__", "10.0.0.1"]]);
  });

  it("leaves no address, IPv6 and mapped addresses for the agent to judge", () => {
    expect(parseConfigureArgs(null).me).toBe("");
    expect(parseConfigureArgs({ me: "::1" }).me).toBe("::1");
    expect(parseConfigureArgs({ me: "::ffff:10.1.2.3" }).me).toBe("10.1.2.3");
  });

  it.each([
    [undefined, /without args/],
    [[], /args must be an object/],
    [{ me: "abc" }, /args\.me must be an IP address, not "abc"/],
    [{ me: "127.0.042.1" }, /IP address/],
    [{ me: 1 }, /args\.me must be a text, not 1/],
    [{ forwards: {} }, /args\.forwards must be a list/],
    [{ forwards: [{ listen_port: 65_536 }] }, /forwards\[0\]\.listen_port .* not 65536/],
    [{ forwards: [{ connect_port: -1 }] }, /connect_port/],
    [{ others: [{ port: 1.5 }] }, /others\[0\]\.port/],
    [{ others: [{ port: "80" }] }, /others\[0\]\.port/],
    [{ hostnameMap: { a: "x" } }, /hostnameMap\["a"\] must be an IP address/],
    [{ hostnameMap: [] }, /hostnameMap must be an object/],
    [{ loopback: { disable: "yes" } }, /loopback\.disable must be true or false/],
    [{ stateDir: "x" }, /stateDir must be an object/],
    [
      { routes: [{ toCIDR: "10.0.0.0/8" }] },
      /routes\[0\]\.toCIDR must be a list .*design document/,
    ],
    [{ routes: [{ toHostnameGlob: [1] }] }, /toHostnameGlob\[0\] must be a text/],
    [{ nameServers: [1] }, /nameServers\[0\] must be an object/],
  ])("refuses %j", (args, text) => {
    const error = refusal(() => parseConfigureArgs(args));
    expect(error.code).toBe("malformed_message");
    expect(error.message).toMatch(text);
  });
});

describe("results", () => {
  it("are understood as they were meant", () => {
    const said = { features: ["tcp", "a<b"], version: "1" };
    const result = parseMessage(serializeMessage(configureResult(3, said))) as NorouterResult;
    expect(result.id).toBe(3);
    expect(parseConfigureResult(result.data)).toEqual(said);
    expect(resultErrorText(result)).toBeUndefined();
  });

  it("tell of an error in a form that NoRouter's manager logs", () => {
    const request: NorouterRequest = { kind: "request", id: 7, op: "configure" };
    const payload = serializeMessage(errorResult(request, "port 80 is in use"));
    expect(textOf(payload)).toBe(
      '{"type":"result","body":{"request_id":7,"op":"configure","error":"port 80 is in use"}}',
    );
    expect(resultErrorText(parseMessage(payload) as NorouterResult)).toBe("port 80 is in use");
  });

  it.each([null, "", {}, undefined])("with the error %j tell of none", (error) => {
    expect(resultErrorText({ kind: "result", id: 1, op: "configure", error })).toBeUndefined();
  });

  it("show an error of any other form as it is", () => {
    const result: NorouterResult = { kind: "result", id: 1, op: "configure", error: { code: 3 } };
    expect(resultErrorText(result)).toBe('{"code":3}');
  });

  it("may have no data", () => {
    expect(parseConfigureResult(undefined)).toEqual({ features: [], version: "" });
  });
});

describe("route suggestions", () => {
  it("are understood as they were meant", () => {
    const suggestion = { ip: ["192.168.95.101", "192.168.95.102"], route: "127.0.42.150" };
    const event = parseMessage(serializeMessage(routeSuggestionEvent(suggestion)));
    expect(event).toMatchObject({ kind: "event", type: "routeSuggestion" });
    expect(parseRouteSuggestion((event as { data?: unknown }).data)).toEqual(suggestion);
  });

  it("may say Route, as those of old agents do", () => {
    const data = { IP: ["10.0.0.1"], Route: "127.0.42.150" };
    expect(parseRouteSuggestion(data)).toEqual({ ip: ["10.0.0.1"], route: "127.0.42.150" });
  });
});

describe("parseMessage", () => {
  it.each([
    ["", "malformed_message", /not JSON/],
    ["{nope", "malformed_message", /not JSON/],
    ['\ufeff{"type":"request"}', "malformed_message", /not JSON/],
    ["[]", "malformed_message", /must be an object/],
    ["{}", "unexpected_message", /unexpected message type ""/],
    ['{"type":"response","body":{}}', "unexpected_message", /"response": .*"result"/],
    ['{"type":"routeSuggestion","data":{}}', "unexpected_message", /body of an "event"/],
    ['{"type":"request","body":3}', "malformed_message", /body must be an object/],
    ['{"type":"request","body":{"id":1.5}}', "malformed_message", /body\.id/],
    ['{"type":"request","body":{"op":1}}', "malformed_message", /body\.op/],
  ])("refuses %j", (text, code, message) => {
    const error = refusal(() => parseMessage(bytes(text)));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });

  it("refuses any JSON or takes it, and never fails otherwise", () => {
    const type = fc.constantFrom("request", "result", "event", "response", null);
    const readers = [parseConfigureArgs, parseConfigureResult, parseRouteSuggestion];
    fc.assert(
      fc.property(type, fc.jsonValue(), (kind, value) => {
        const documents = [value, { type: kind, body: value }];
        for (const document of documents) expectRefusal(() => parseMessage(json(document)));
        for (const read of readers) expectRefusal(() => read(value));
      }),
    );
  });
});

function expectRefusal(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(WireError);
  }
}
