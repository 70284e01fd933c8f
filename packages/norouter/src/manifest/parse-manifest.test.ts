import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ConfigError } from "@culvert/runtime";
import { configureArgsOf } from "./configure-args.ts";
import { exampleManifest } from "./example.ts";
import type { Manifest, ManifestHost } from "./manifest.ts";
import { formatProblem } from "./manifest-problem.ts";
import { parseManifest } from "./parse-manifest.ts";

function parse(text: string): Manifest {
  return parseManifest(text, "mesh.yaml").manifest;
}

function host(text: string, name = "web"): ManifestHost {
  return parse(text).hosts.find((one) => one.name === name)!;
}

function problems(text: string): string[] {
  try {
    parse(text);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    expect(error.code).toBe("bad_config");
    return error.message
      .split("\n")
      .slice(1)
      .map((line) => line.trim());
  }
  return [];
}

/** A manifest of one host with these further lines. */
function web(...lines: string[]): string {
  return ["hosts:", "  web:", '    vip: "127.0.42.101"', ...lines.map((l) => `    ${l}`)].join(
    "\n",
  );
}

describe("a manifest", () => {
  it("of which every key is set is read whole", () => {
    const { manifest, warnings } = parseManifest(exampleManifest, "example");
    expect(warnings).toEqual([]);
    expect(manifest.hosts.map(({ name, vip, command }) => [name, vip, command])).toEqual([
      ["local", "127.0.42.100", undefined],
      ["web", "127.0.42.101", ["docker", "exec", "-i", "web", "culvert", "norouter"]],
      [
        ...["bastion", "127.0.42.150"],
        ["ssh", "user@bastion.example", "--", "culvert", "norouter"],
      ],
    ]);
    expect(manifest.hosts[1]).toMatchObject({
      forwards: [{ listenPort: 8080, connectIp: "127.0.0.1", connectPort: 80, proto: "tcp" }],
      aliases: ["www"],
      http: { listen: "127.0.0.1:18080" },
      socks: { listen: "127.0.0.1:18081" },
      loopback: { disable: false },
      writeEtcHosts: false,
    });
    expect(manifest.hosts[2]).toMatchObject({
      loopback: { disable: true },
      stateDir: { path: "~/.norouter/agent", disable: false },
    });
    expect(manifest.routes).toEqual([
      { via: "127.0.42.150", toCidr: ["192.168.95.0/24"], toHostnameGlob: ["*.corp.example"] },
    ]);
  });

  it("adds ports to those of the template and replaces its blocks whole", () => {
    const template = `hostTemplate:
  ports: ["9000:localhost:9/tcp"]
  http: {listen: ":18080"}
  stateDir: {disable: true}
  writeEtcHosts: true
hosts:
  plain: {vip: "10.0.0.1"}
  web: {vip: "10.0.0.2", ports: ["80:a.b:81"], http: {}, stateDir: {pathOnAgent: x}, writeEtcHosts: false}
`;
    expect(host(template, "plain")).toMatchObject({
      forwards: [{ listenPort: 9000, connectIp: "localhost", connectPort: 9 }],
      http: { listen: ":18080" },
      stateDir: { path: "", disable: true },
      writeEtcHosts: true,
    });
    expect(host(template)).toMatchObject({
      forwards: [{ listenPort: 9000 }, { listenPort: 80, connectIp: "a.b", connectPort: 81 }],
      http: { listen: "" },
      stateDir: { path: "x", disable: false },
      writeEtcHosts: false,
    });
  });

  it.each([
    ["cmd: docker exec -i some norouter", ["docker", "exec", "-i", "some", "norouter"]],
    [`cmd: "sh -c 'a b' --"`, ["sh", "-c", "a b", "--"]],
    ['cmd: ["ssh", "u@h", "--", "nor outer"]', ["ssh", "u@h", "--", "nor outer"]],
    ["cmd: null", undefined],
    ['cmd: ""', undefined],
    ["cmd: []", undefined],
  ])("takes %s", (line, command) => {
    expect(host(web(line)).command).toEqual(command);
  });

  it("may use anchors and merges", () => {
    const text = `hosts:
  a: &base {vip: "10.0.0.1", loopback: {disable: true}, aliases: [x]}
  web: {<<: *base, vip: "10.0.0.2", aliases: [y]}
`;
    expect(host(text)).toMatchObject({ vip: "10.0.0.2", loopback: { disable: true } });
    expect(host(text).aliases).toEqual(["y"]);
  });

  it("takes an address as via, and networks in any form", () => {
    const text = `${web()}
routes:
  - {via: "127.0.42.101", to: ["10.1.2.3/8", "0.0.0.0/0", "*", "db"]}
  - {via: 192.0.2.1, to: [x.example]}
`;
    const { manifest, warnings } = parseManifest(text, "m");
    expect(manifest.routes[0]).toEqual({
      via: "127.0.42.101",
      toCidr: ["10.0.0.0/8", "0.0.0.0/0"],
      toHostnameGlob: ["*", "db"],
    });
    expect(warnings.map(formatProblem)).toEqual([
      "line 6: routes[1].via: 192.0.2.1 is the address of no host",
    ]);
  });

  it("warns of what it does not know, each with its line, and goes on", () => {
    const text = `version: 1
hosts:
  web.example:
    vip: "10.0.0.1"
    http: {listn: x}
    port: []
`;
    const { manifest, warnings } = parseManifest(text, "m");
    expect(manifest.hosts).toHaveLength(1);
    expect(warnings.map(formatProblem)).toEqual([
      expect.stringMatching(/^line 1: version: is not known .* hostTemplate, hosts, routes$/),
      expect.stringMatching(/^line 3: hosts\.web\.example: a name with dots/),
      expect.stringMatching(/^line 5: hosts\.web\.example\.http\.listn: is not known/),
      expect.stringMatching(/^line 6: hosts\.web\.example\.port: is not known/),
    ]);
  });

  it.each([
    ["", /^hosts: names no host$/],
    ["{}", /^line 1: hosts: names no host$/],
    ["hosts: {}", /^line 1: hosts: names no host$/],
    ["[]", /^line 1: must be a map, not a list$/],
    ["hosts: [a]", /^line 1: hosts: must be a map, not a list$/],
    ["hosts:\n  web: 3", /^line 2: hosts\.web: must be a map, not 3$/],
    ["hosts:\n  web:\n    vip: 42", /^line 3: hosts\.web\.vip: must be a text, not 42$/],
    ["hosts:\n  web: {}", /^line 2: hosts\.web\.vip: is missing/],
    ["hosts:\n  web: {vip: '::1'}", /^line 2: hosts\.web\.vip: "::1" must be an IPv4 address$/],
    ["hosts:\n  web: {vip: 224.0.0.1}", /cannot be the address of a host$/],
    ["hosts:\n  web: {vip: 192.0.0.8}", /192\.0\.0\.8 is the manager's own address$/],
    ["hosts:\n  'a b': {vip: 10.0.0.1}", /^line 2: hosts\.a b: the name must have letters/],
    [web("cmd: 42"), /^line 4: hosts\.web\.cmd: must be a text, not 42$/],
    [web("cmd: {a: 1}"), /cmd: must be a text, not a map$/],
    [web("cmd: [a, 1]"), /cmd\[1\]: must be a text, not 1$/],
    [web("cmd: [a, null]"), /cmd\[1\]: must be a text, not null$/],
    [web(`cmd: "a 'b"`), /cmd: cannot be split into words: /],
    [web("ports: 8080:a:80"), /ports: must be a list, not "8080:a:80"$/],
    [web("ports: ['8080']"), /ports\[0\]: "8080" must be LISTEN:CONNECT:PORT/],
    [web("ports: ['1:a:2:3']"), /must be LISTEN:CONNECT:PORT/],
    [web("ports:", "- 53:a:53/udp"), /^line 5: .*only tcp can be forwarded, not udp$/],
    [web("ports: ['65536:a:1']"), /"65536" must be a port from 1 to 65535$/],
    [web("ports: ['1:a:0']"), /"0" must be a port/],
    [web("ports: ['1:a b:2']"), /"a b" must be an IPv4 address or a name$/],
    [web("ports: ['10053:a:53']"), /the DNS of the agent$/],
    [web("ports: ['1:a:2', '1:b:3']"), /^line 4: .*port 1 is listed twice$/],
    [web("ports: ['1:127.0.0.999:80']"), /"127\.0\.0\.999" must be an IPv4 address or a name$/],
    [web("ports: ['1:300.1.1.1:80']"), /"300\.1\.1\.1" must be an IPv4 address or a name$/],
    [web("ports: ['1:127.0.0.01:80']"), /must be an IPv4 address or a name$/],
    [web("ports: ['1:10.1:80']"), /must be an IPv4 address or a name$/],
    [web("ports: [null]"), /ports\[0\]: must be a text, not null$/],
    [web("aliases: [null]"), /aliases\[0\]: must be a text, not null$/],
    [web("aliases: [300.1.1.1]"), /aliases\[0\]: "300\.1\.1\.1" must .* not be like an address$/],
    [
      web("http: {listen: '127.0.0.999:80'}"),
      /http\.listen: "127\.0\.0\.999:80" must be host:port/,
    ],
    [web("http: {listen: '300.1.1.1:80'}"), /http\.listen: "300\.1\.1\.1:80" must be host:port/],
    [web("http: {listen: '[::g]:80'}"), /http\.listen: "\[::g\]:80" must be host:port/],
    [web("http: {listen: 'a b:80'}"), /http\.listen: "a b:80" must be host:port/],
    [
      web("http: {listen: ':80'}", "socks: {listen: '127.0.0.1:80'}"),
      /^line 5: hosts\.web\.socks: 127\.0\.0\.1:80 is where the http proxy of this host listens, too$/,
    ],
    [
      `hostTemplate: {socks: {listen: ":80"}}\n${web("http: {listen: 'localhost:80'}")}`,
      /^line 5: hosts\.web\.http: localhost:80 is where the socks proxy of this host listens, too$/,
    ],
    [
      `hostTemplate: {socks: {listen: ":80"}, http: {listen: ":80"}}\n${web()}`,
      /^line 1: hostTemplate\.socks: :80 is where the http proxy of this host listens, too$/,
    ],
    [`hosts:\n  300.1.1.1: {vip: 10.0.0.1}`, /^line 2: hosts\.300\.1\.1\.1: the name must have/],
    [`hosts:\n  web: {vip: 300.1.1.1}`, /vip: "300\.1\.1\.1" must be an IPv4 address$/],
    [web("aliases: [1]"), /aliases\[0\]: must be a text/],
    [web(`aliases: ["a\\nb"]`), /aliases\[0\]: "a\\nb" must have letters/],
    [web("http: {listen: nonsense}"), /http\.listen: "nonsense" must be host:port/],
    [web("socks: {listen: 'a:70000'}"), /socks\.listen: "a:70000" must be host:port/],
    [web("loopback: {disable: 1}"), /loopback\.disable: must be true or false, not 1$/],
    [web("stateDir: {pathOnAgent: []}"), /pathOnAgent: must be a text, not a list$/],
    [web("stateDir: {disable: x}"), /stateDir\.disable: must be true or false/],
    [web("writeEtcHosts: 'yes'"), /writeEtcHosts: must be true or false, not "yes"$/],
    [`hostTemplate: {vip: 10.0.0.1}\n${web()}`, /^line 1: hostTemplate\.vip: belongs to one host/],
    [`${web()}\nroutes: {}`, /^line 4: routes: must be a list, not a map$/],
    [`${web()}\nroutes: [null]`, /routes\[0\]: must be a map, not null$/],
    [`${web()}\nroutes: [{to: ["*"]}]`, /routes\[0\]\.via: is missing/],
    [`${web()}\nroutes: [{via: web}]`, /routes\[0\]\.to: names nothing/],
    [`${web()}\nroutes: [{via: web, to: []}]`, /routes\[0\]\.to: names nothing/],
    [`${web()}\nroutes: [{via: x, to: ["*"]}]`, /via: "x" is the name of no host$/],
    [`${web("aliases: [w]")}\nroutes: [{via: w, to: ["*"]}]`, /"w" is an alias; its host is web$/],
    [`${web()}\nroutes: [{via: web, to: [10.0.0.1]}]`, /write 10\.0\.0\.1\/32/],
    [`${web()}\nroutes: [{via: web, to: [300.1.1.1]}]`, /"300\.1\.1\.1" must be an IPv4 network/],
    [`${web()}\nroutes: [{via: web, to: ["127.0.0.999/8"]}]`, /must be an IPv4 network/],
    [`${web()}\nroutes: [{via: 300.1.1.1, to: [a]}]`, /"300\.1\.1\.1" is the name of no host$/],
    [`${web()}\nroutes: [{via: web, to: ["10.0.0.0/33"]}]`, /must be an IPv4 network/],
    [`${web()}\nroutes: [{via: web, to: ["::/0"]}]`, /must be an IPv4 network/],
    [
      `${web()}\n  b: {vip: 127.0.42.101}`,
      /^line 4: hosts\.b: vip 127\.0\.42\.101 is that of web, too$/,
    ],
    [`${web()}\n  b: {vip: 10.0.0.1, aliases: [WEB]}`, /the name "WEB" is taken by the host web$/],
    ["a: [", /^line 1: /],
    ["a: 1\na: 2", /^line 2: Map keys must be unique/],
    ["hosts: *x", /^line 1: hosts: \*x stands for nothing$/],
  ])("is refused: %j", (text, problem) => {
    const found = problems(text);
    expect(found.filter((one) => problem.test(one))).toHaveLength(1);
  });

  it.each([
    ["http: {listen: '127.0.0.1:80'}", "socks: {listen: '127.0.0.2:80'}"],
    ["http: {listen: '127.0.0.1:80'}", "socks: {listen: '127.0.0.1:81'}"],
    ["http: {listen: ':0'}", "socks: {listen: ':0'}"],
    ["http: {listen: '[::1]:80'}", "socks: {listen: 'web-1.example:80'}"],
    ["ports: ['1:host-1:80', '2:127.0.0.1:80', '3:4you.example:1', '4:db.1x:1']", "aliases: ['9']"],
  ])("may say %s and %s", (...lines) => {
    expect(problems(web(...lines))).toEqual([]);
  });

  it("may have two hosts with proxies at the same address: they are two machines", () => {
    const proxies = 'http: {listen: ":80"}, socks: {listen: ":81"}';
    const text = `hosts:\n  a: {vip: 10.0.0.1, ${proxies}}\n  b: {vip: 10.0.0.2, ${proxies}}`;
    expect(problems(text)).toEqual([]);
  });

  it("is warned of a name that looks like a network and fits no address", () => {
    const { warnings } = parseManifest(`${web()}\nroutes: [{via: web, to: ["10.1.*"]}]`, "m");
    expect(warnings.map(formatProblem)).toEqual([
      "line 4: routes[0].to[0]: 10.1.* stands for names and fits no address; a network is written as 10.0.0.0/8",
    ]);
  });

  it("tells of everything that is wrong at once, in the order of its lines", () => {
    const found = problems(`hostTemplate: {cmd: x, ports: [1]}
hosts:
  a: {vip: x, cmd: 1}
  b: {vip: 10.0.0.1, ports: ["1"]}
  c: {vip: 10.0.0.1, http: {listen: "x"}}
routes:
  - via: nobody
    to: ["1.2.3.4"]
`);
    expect(found.map((line) => /^line \d+: [a-zA-Z.[\]0-9]+/.exec(line)?.[0])).toEqual([
      "line 1: hostTemplate.cmd",
      "line 1: hostTemplate.ports[0]",
      "line 3: hosts.a.vip",
      "line 3: hosts.a.cmd",
      "line 4: hosts.b.ports[0]",
      "line 5: hosts.c.http.listen",
      "line 5: hosts.c",
      "line 7: routes[0].via",
      "line 8: routes[0].to[0]",
    ]);
  });

  describe("with one key wrong", () => {
    it.each(everyWrong())("tells its line: %s", (_what, path, value) => {
      const { text, lineOf } = written(new Map([[path, value]]));
      const found = problems(text);
      expect(found).toHaveLength(1);
      expect(found[0]).toMatch(/^line \d+: /);
      expect(found[0]!.startsWith(`line ${lineOf(path)}: ${path}`)).toBe(true);
    });
  });

  it("with every key wrong tells of all of them, each with its line", () => {
    const wrong = leaves.map(([path, , accepts]) => [path, firstWrong(accepts)] as const);
    const { text, lineOf } = written(new Map(wrong));
    const found = problems(text);
    for (const [path] of wrong) {
      const own = found.filter((one) => one.startsWith(`line ${lineOf(path)}: ${path}`));
      expect(own, path).toHaveLength(1);
    }
    expect(found).toHaveLength(wrong.length);
  });

  it("with nothing wrong is what the tests of wrong keys begin with", () => {
    const { text } = written(new Map());
    expect(parseManifest(text, "m").warnings).toEqual([]);
  });

  it("that is any YAML is read or refused, and nothing else happens", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (value, entry) => {
        const documents = [value, { hosts: { web: entry }, routes: [entry], hostTemplate: entry }];
        for (const document of documents) expect(problems(JSON.stringify(document))).toBeTruthy();
      }),
    );
  });
});

describe("what an agent is told", () => {
  const manifest = parse(exampleManifest);
  const args = configureArgsOf(manifest.hosts[0]!, manifest);

  it("is its own settings, the ports of others, all names, routes and name servers", () => {
    expect(args).toMatchObject({
      me: "127.0.42.100",
      forwards: [],
      others: [{ ip: "127.0.42.101", port: 8080, proto: "tcp" }],
      http: { listen: "127.0.0.1:18080" },
      routes: manifest.routes,
    });
    expect(args.nameServers).toEqual(
      ["127.0.42.100", "127.0.42.101", "127.0.42.150"].map((ip) => ({
        ip,
        port: 10_053,
        proto: "tcp",
      })),
    );
    expect([...args.hostnameMap]).toEqual([
      ["local", "127.0.42.100"],
      ["web", "127.0.42.101"],
      ["www", "127.0.42.101"],
      ["bastion", "127.0.42.150"],
    ]);
  });

  it("leaves out its own ports among those of others", () => {
    expect(configureArgsOf(manifest.hosts[1]!, manifest).others).toEqual([]);
  });
});

type Kind = "text" | "number" | "flag" | "list" | "map" | "null" | "element";

/** Every key of a manifest: where it stands, a right value (none where others stand below it), and the kinds of value it may have. */
const keys: readonly (readonly [string, string | undefined, readonly Kind[]])[] = [
  ["hostTemplate", undefined, ["map", "null"]],
  ["hostTemplate.ports", '["9000:localhost:9"]', ["null"]],
  ["hostTemplate.http", undefined, ["map", "null"]],
  ["hostTemplate.http.listen", '"127.0.0.1:1"', ["null"]],
  ["hostTemplate.socks", undefined, ["map", "null"]],
  ["hostTemplate.socks.listen", '"127.0.0.1:2"', ["null"]],
  ["hostTemplate.loopback", undefined, ["map", "null"]],
  ["hostTemplate.loopback.disable", "true", ["flag", "null"]],
  ["hostTemplate.stateDir", undefined, ["map", "null"]],
  ["hostTemplate.stateDir.pathOnAgent", '"~/x"', ["text", "null"]],
  ["hostTemplate.stateDir.disable", "false", ["flag", "null"]],
  ["hostTemplate.writeEtcHosts", "false", ["flag", "null"]],
  ["hosts", undefined, []],
  ["hosts.web", undefined, []],
  ["hosts.web.vip", '"127.0.42.101"', []],
  ["hosts.web.cmd", '"ssh web"', ["text", "null"]],
  ["hosts.web.aliases", '["www"]', ["null"]],
  ["hosts.web.ports", '["80:localhost:80"]', ["null"]],
  ["hosts.web.http", undefined, ["map", "null"]],
  ["hosts.web.http.listen", '"127.0.0.1:3"', ["null"]],
  ["hosts.web.socks", undefined, ["map", "null"]],
  ["hosts.web.socks.listen", '"127.0.0.1:4"', ["null"]],
  ["hosts.web.loopback", undefined, ["map", "null"]],
  ["hosts.web.loopback.disable", "true", ["flag", "null"]],
  ["hosts.web.stateDir", undefined, ["map", "null"]],
  ["hosts.web.stateDir.pathOnAgent", '"~/x"', ["text", "null"]],
  ["hosts.web.stateDir.disable", "false", ["flag", "null"]],
  ["hosts.web.writeEtcHosts", "false", ["flag", "null"]],
  ["routes", undefined, ["null"]],
  // Without its keys it lacks two.
  ["routes[0]", undefined, ["map"]],
  ["routes[0].via", '"127.0.42.100"', []],
  ["routes[0].to", '["*.corp.example"]', []],
];
const leaves = keys.filter(([, value]) => value !== undefined);

/** A value of each kind; none of them is right where the kind alone is not. */
const valueOf: Readonly<Record<Kind, string>> = {
  text: '"a b"',
  number: "7",
  flag: "true",
  list: "[7]",
  map: "{}",
  null: "null",
  element: "[null]",
};
const kinds = Object.keys(valueOf) as Kind[];

function firstWrong(accepts: readonly Kind[]): string {
  return valueOf[kinds.find((kind) => !accepts.includes(kind))!];
}

function everyWrong(): (readonly [string, string, string])[] {
  return keys.flatMap(([path, , accepts]) =>
    kinds
      .filter((kind) => !accepts.includes(kind))
      .map((kind) => [`${path}: ${valueOf[kind]}`, path, valueOf[kind]] as const),
  );
}

/** A manifest of every key, with these values in place of the right ones; a key that is replaced has nothing below it. */
function written(values: ReadonlyMap<string, string>): {
  readonly text: string;
  readonly lineOf: (path: string) => number;
} {
  const lines: string[] = [];
  const numbers = new Map<string, number>();
  const isReplaced = (path: string): boolean =>
    [...values.keys()].some((one) => path.startsWith(`${one}.`) || path.startsWith(`${one}[`));
  for (const [path, right] of keys) {
    if (isReplaced(path)) continue;
    const value = values.get(path) ?? right ?? "";
    const words = path.replaceAll("[0]", ".-").split(".");
    const key = words.at(-1)!;
    // The first key of an element stands on the line of its dash.
    const isFirst = key === "via";
    const indent = "  ".repeat(words.length - (isFirst ? 2 : 1));
    if (key === "-" && !values.has(path)) numbers.set(path, lines.length + 1);
    else {
      const head = key === "-" ? "-" : `${isFirst ? "- " : ""}${key}:`;
      lines.push(`${indent}${head} ${value}`);
      numbers.set(path, lines.length);
    }
    if (path === "hosts" && !values.has(path)) lines.push('  other: {vip: "127.0.42.100"}');
  }
  return { text: lines.join("\n"), lineOf: (path) => numbers.get(path)! };
}
