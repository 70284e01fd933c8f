import fc from "fast-check";
import { expect, it } from "vitest";
import { LimitError, TransportError } from "@culvert/runtime";
import { NameTable } from "./name-table.ts";
import { PortTable } from "./port-table.ts";
import type { PublicDevice } from "./public-device.ts";

const policy = { tls: "end", http: "redirect" } as const;
const limits = { names: 100, namesPerDevice: 10 };

it("an exact name goes before the longest wildcard, which goes before a shorter one", () => {
  const names = new NameTable([], limits);
  for (const pattern of ["*.example.com", "*.box.example.com", "app.box.example.com"]) {
    names.add(pattern, device(pattern), policy);
  }
  for (const [asked, found] of [
    ["app.box.example.com", "app.box.example.com"],
    ["other.box.example.com", "*.box.example.com"],
    ["deep.app.box.example.com", "*.box.example.com"],
    ["box.example.com", "*.example.com"],
    ["example.com", undefined],
    ["example.org", undefined],
    ["*.example.com", undefined],
    ["", undefined],
  ] as const) {
    // A wildcard cannot be asked for: the readers of SNI and Host refuse the asterisk before.
    if (asked !== "*.example.com") expect(names.next(asked)?.device.name, asked).toBe(found);
  }
});

it("a wildcard is found from any name below it, and from no other", () => {
  const label = fc.stringMatching(/^[a-z]{1,5}$/);
  fc.assert(
    fc.property(fc.array(label, { minLength: 1, maxLength: 6 }), label, (labels, other) => {
      const names = new NameTable([], limits);
      names.add("*.base.example", device("found"), policy);
      expect(names.next(`${labels.join(".")}.base.example`)?.device.name).toBe("found");
      expect(names.next(`${labels.join(".")}${other}base.example`)).toBeUndefined();
      expect(names.next(`${labels.join(".")}.base.example.${other}`)).toBeUndefined();
    }),
  );
});

it("devices take turns, those that are away are left out, and one that is away is known of", () => {
  const names = new NameTable([], limits);
  const [a, b, c] = [device("a"), device("b"), device("c")];
  const removeA = names.add("app.example.com", a, policy);
  names.add("app.example.com", b, policy);
  names.add("app.example.com", c, policy);
  const turns = (count: number): string =>
    Array.from({ length: count }, () => names.next("app.example.com")?.device.name).join("");
  expect(turns(6)).toBe("abcabc");
  b.connected = false;
  expect(turns(4)).toBe("acac");
  removeA();
  removeA();
  expect(turns(2)).toBe("cc");
  c.connected = false;
  expect(names.next("app.example.com")?.device.connected).toBe(false);
  expect(names.size).toBe(2);
});

it("names are checked, bounded in all and for each device, and places come free", () => {
  const names = new NameTable(["relay.example.com"], { names: 3, namesPerDevice: 2 });
  const [a, b] = [device("a"), device("b")];
  expect(() => names.add("relay.example.com", a, policy)).toThrow(/own name/);
  for (const bad of ["", "a,b.example", "a..b", "*.*.example", "192.0.2.1", "a".repeat(254)]) {
    expect(() => names.add(bad, a, policy), bad).toThrow(
      expect.objectContaining({ code: "bad_name" }),
    );
  }
  const remove = names.add("One.Example.com", a, policy);
  names.add("two.example.com", a, policy);
  expect(() => names.add("three.example.com", a, policy)).toThrow(LimitError);
  names.add("three.example.com", b, policy);
  expect(() => names.add("four.example.com", b, policy)).toThrow(/3 names already/);
  remove();
  names.add("four.example.com", a, policy);
  expect(names.next("one.example.com")).toBeUndefined();
});

it("a port belongs to one device at a time, also while it is being bound, and is free after", async () => {
  const bound: string[] = [];
  let fail = false;
  const ports = new PortTable(({ port }, { name }) => {
    if (fail) return Promise.reject(new TransportError("address_in_use", "in use"));
    bound.push(`${name} ${port}`);
    return Promise.resolve({ port: port === 0 ? 2_200 : port, close: () => Promise.resolve() });
  }, 2);
  const [a, b] = [device("a"), device("b")];
  const at = (port: number) => ({ host: "0.0.0.0", port });
  const [first, second] = await Promise.allSettled([ports.open(at(22), a), ports.open(at(22), b)]);
  expect([first.status, second.status]).toEqual(["fulfilled", "rejected"]);
  const chosen = await ports.open(at(0), a);
  expect(chosen.port).toBe(2_200);
  await expect(ports.open(at(2_200), b)).rejects.toMatchObject({ code: "address_in_use" });
  await expect(ports.open(at(23), a)).rejects.toBeInstanceOf(LimitError);
  await chosen.close();
  await ports.open(at(2_200), b);
  fail = true;
  await expect(ports.open(at(80), b)).rejects.toThrow("in use");
  fail = false;
  await ports.open(at(80), b);
  expect([...ports.list()].map(({ port, device: { name } }) => `${name} ${port}`)).toEqual([
    "a 22",
    "b 2200",
    "b 80",
  ]);
  expect(bound).toEqual(["a 22", "a 0", "b 2200", "b 80"]);
});

function device(name: string): PublicDevice & { connected: boolean } {
  return { name, connected: true, open: () => Promise.reject(new Error("not opened here")) };
}
