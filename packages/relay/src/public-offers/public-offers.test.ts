import { once } from "node:events";
import {
  LimitError,
  millis,
  Scope,
  systemClock,
  TransportError,
  type ByteStream,
} from "@culvert/runtime";
import { within } from "@culvert/testkit";
import { readTip, writeTip, type Session } from "@culvert/transport";
import {
  Status,
  type Attach,
  type AttachAnswer,
  type ExposeAnswer,
  type Offer,
} from "@culvert/wire";
import { describe, expect, it, onTestFinished } from "vitest";
import { ask, attachTip, createWorld, type World } from "../relay-fixture.test-data.ts";
import { NameTable } from "../web/name-table.ts";
import { PortTable } from "../web/port-table.ts";
import type { PublicConnection, PublicDevice } from "../web/public-device.ts";
import { PublicGrants, type PublicGrantList } from "./public-grants.ts";

const grants: PublicGrantList = {
  names: [
    {
      server: "lan-box",
      names: ["app.example.com", "*.box.example.com"],
      tls: "end",
      http: "redirect",
    },
    { server: "attic", names: ["app.example.com"], tls: "end", http: "redirect" },
  ],
  ports: [{ server: "lan-box", listen: { host: "0.0.0.0", port: 2222 } }],
};

const connection: PublicConnection = {
  service: "http",
  name: "app.example.com",
  servicePort: 443,
  tls: "ended",
  remote: { family: "IPv6", address: "2001:DB8::7%eth0", port: 50_112 },
  local: { family: "IPv4", address: "192.0.2.1", port: 443 },
};

interface Entrance extends World {
  readonly names: NameTable;
  readonly bound: Map<number, PublicDevice>;
}

async function entrance(limits: { connectionsPerServer?: number } = {}): Promise<Entrance> {
  const world = await createWorld({ public: grants, limits });
  onTestFinished(() => world.relay.close());
  const names = new NameTable(["relay.example.com"], { names: 100, namesPerDevice: 10 });
  const bound = new Map<number, PublicDevice>();
  const ports = new PortTable(({ port }, device) => {
    bound.set(port, device);
    return Promise.resolve({
      port,
      close: () => Promise.resolve(void bound.delete(port)),
    });
  }, 10);
  const scope = new Scope();
  await world.relay.publicOffers.start({ names, ports, httpsPort: 443, httpPort: 80 }, scope);
  onTestFinished(() => scope.close());
  return { ...world, names, bound };
}

async function attachServer(
  world: World,
  who: "lanBox" | "attic",
  attach: Partial<Attach>,
): Promise<{ session: Session; exposes: readonly ExposeAnswer[] }> {
  const session = await world.dial(world[who]);
  const answer = (await ask(session, attachTip({ role: "server", ...attach }))) as AttachAnswer;
  expect(answer.status).toBe(Status.ok);
  return { session, exposes: answer.exposes ?? [] };
}

/** Takes the next offer of a session and answers it. */
async function takeOffer(
  session: Session,
  status: number = Status.ok,
): Promise<{ offer: Offer; stream: ByteStream }> {
  const next = await within(session.streams[Symbol.asyncIterator]().next(), { what: "an offer" });
  const stream = next.value as ByteStream;
  stream.on("error", () => undefined);
  const tip = await readTip(stream, { clock: systemClock, deadline: millis(2_000) });
  if (tip.kind !== "offer") throw new Error(`got ${tip.kind}`);
  writeTip(stream, { kind: "answer", status, text: "no", limit: "", inner: new Uint8Array(0) });
  return { offer: tip, stream };
}

const signal = new AbortController().signal;
const name = (text: string) => ({ name: text, port: 0 });

describe("what a server exposes", () => {
  it("is served where the relay's configuration grants it, and refused with the line to add where not", async () => {
    const world = await entrance();
    const { exposes } = await attachServer(world, "lanBox", {
      exposes: [
        name("app.example.com"),
        name("foo.box.example.com"),
        name("other.example.com"),
        { name: "", port: 2222 },
        { name: "", port: 22 },
      ],
    });
    expect(exposes.map(({ status }) => status)).toEqual([
      Status.ok,
      Status.ok,
      Status.permission_denied_by_relay,
      Status.ok,
      Status.permission_denied_by_relay,
    ]);
    expect(exposes[0]).toMatchObject({ httpsPort: 443, httpPort: 80, tlsEnded: true });
    expect(exposes[2]?.text).toContain(
      'public.names: [{server: lan-box, names: ["other.example.com"]}]',
    );
    expect(exposes[4]?.text).toContain('public.ports: [{server: lan-box, listen: "0.0.0.0:22"}]');
    expect(world.names.next("app.example.com")?.device.connected).toBe(true);
    expect(world.names.next("foo.box.example.com")?.pattern).toBe("foo.box.example.com");
    expect(world.names.next("bar.box.example.com")?.device.connected).toBe(false);
    expect(world.names.next("other.example.com")).toBeUndefined();
    expect(world.bound.get(2222)?.connected).toBe(true);
  });

  it("is granted to nobody by default, and never to a client", async () => {
    const world = await createWorld();
    onTestFinished(() => world.relay.close());
    const { exposes } = await attachServer(world, "lanBox", { exposes: [name("app.example.com")] });
    expect(exposes).toMatchObject([{ status: Status.permission_denied_by_relay }]);
    const session = await world.dial(world.laptop);
    const answer = await ask(session, attachTip({ exposes: [name("app.example.com")] }));
    expect(answer).toMatchObject({ status: Status.ok });
    expect("exposes" in answer).toBe(false);
  });

  it("is offered each connection on a stream of its own, which then carries bytes", async () => {
    const world = await entrance();
    const { session } = await attachServer(world, "lanBox", { exposes: [name("app.example.com")] });
    const opening = world.names.next("app.example.com")!.device.open(connection, { signal });
    const { offer, stream } = await takeOffer(session);
    expect(offer).toMatchObject({
      clientId: "",
      target: "",
      public: {
        service: "http",
        name: "app.example.com",
        servicePort: 443,
        remote: { family: "IPv6", address: "2001:db8::7", port: 50_112 },
        localAddress: "192.0.2.1",
        tlsEnded: true,
      },
    });
    const visitor = await opening;
    visitor.write("hello");
    const [heard] = (await within(once(stream, "data"), { what: "bytes" })) as [Buffer];
    expect(heard.toString()).toBe("hello");
  });

  it("whose server refuses, or whose limit is reached, is an error for the entrance", async () => {
    const world = await entrance({ connectionsPerServer: 1 });
    const { session } = await attachServer(world, "lanBox", { exposes: [name("app.example.com")] });
    const { device } = world.names.next("app.example.com")!;
    const refused = device.open(connection, { signal });
    void takeOffer(session, Status.permission_denied_by_server);
    await expect(refused).rejects.toThrow(/lan-box: no/);
    const open = device.open(connection, { signal });
    await takeOffer(session);
    const stream = await open;
    await expect(device.open(connection, { signal })).rejects.toBeInstanceOf(LimitError);
    stream.destroy();
    await once(stream, "close");
    const again = device.open(connection, { signal });
    await takeOffer(session);
    (await again).destroy();
  });

  it("whose service resets at once was open and has been cut, even where the reset overtakes the answer", async () => {
    const world = await entrance({ connectionsPerServer: 1 });
    const { session } = await attachServer(world, "lanBox", { exposes: [name("app.example.com")] });
    const { device } = world.names.next("app.example.com")!;
    for (let round = 0; round < 3; round += 1) {
      const opening = device.open(connection, { signal });
      const { stream: service } = await takeOffer(session);
      service.destroy(new Error("the service has reset"));
      const stream = await opening;
      stream.on("error", () => undefined);
      await within(
        until(() => stream.closed),
        { what: "the end" },
      );
      expect(stream.errored).toMatchObject({ code: "stream_reset" });
    }
  });

  it("ends with its session, and a newer session of the server takes its place", async () => {
    const world = await entrance();
    const exposes = [name("app.example.com"), { name: "", port: 2222 }];
    const { session: first } = await attachServer(world, "lanBox", { exposes });
    const { session: second } = await attachServer(world, "lanBox", { exposes });
    await within(first.closed, { what: "the end of the first" });
    expect([...world.names.list()].filter(({ device }) => device.connected)).toHaveLength(1);
    const { device } = world.names.next("app.example.com")!;
    second.close({ by: "us", code: "done", text: "done" });
    await second.closed;
    await within(
      until(() => !world.names.next("app.example.com")!.device.connected),
      {
        what: "the name without a server",
      },
    );
    await expect(device.open(connection, { signal })).rejects.toBeInstanceOf(TransportError);
    expect(world.bound.get(2222)?.connected).toBe(false);
  });

  it("of several servers and transient sessions is served by each in turn", async () => {
    const world = await entrance();
    const exposes = [name("app.example.com")];
    await attachServer(world, "lanBox", { exposes });
    await attachServer(world, "lanBox", { exposes, transient: true });
    await attachServer(world, "attic", { exposes });
    const turns = Array.from({ length: 6 }, () => world.names.next("app.example.com")!.device);
    expect(new Set(turns).size).toBe(3);
    expect(turns.slice(3)).toEqual(turns.slice(0, 3));
  });
});

describe("grants", () => {
  it("are looked up by the most special name", () => {
    const judge = new PublicGrants({
      names: [
        { server: "a", names: ["*.example.com"], tls: "end", http: "redirect" },
        { server: "a", names: ["*.x.example.com"], tls: "pass", http: "forward" },
        { server: "a", names: ["y.x.example.com"], tls: "end", http: "forward" },
      ],
      ports: [],
    });
    expect(judge.name("a", "b.example.com")).toEqual({ tls: "end", http: "redirect" });
    expect(judge.name("a", "b.x.example.com")).toEqual({ tls: "pass", http: "forward" });
    expect(judge.name("a", "y.x.example.com")).toEqual({ tls: "end", http: "forward" });
    expect(judge.name("a", "*.b.x.example.com")).toEqual({ tls: "pass", http: "forward" });
    expect(judge.name("a", "example.com")).toBeUndefined();
    expect(judge.name("b", "b.example.com")).toBeUndefined();
    expect(judge.port("a", 22)).toBe(false);
  });
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate);
}
