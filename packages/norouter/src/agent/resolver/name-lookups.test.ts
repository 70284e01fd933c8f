import { expect, it } from "vitest";
import { NameLookups } from "./name-lookups.ts";

function lookups() {
  const asked: string[] = [];
  const answers = new Map<string, (ips: readonly string[]) => void>();
  const names = new NameLookups((name) => {
    asked.push(name);
    return new Promise((resolve) => answers.set(name, resolve));
  });
  return { names, asked, answer: (name: string) => answers.get(name)?.(["127.0.0.1"]) };
}

it("a name that many ask for is looked up once, and again when they have their answer", async () => {
  const { names, asked, answer } = lookups();
  const both = [names.find("a"), names.find("a")];
  answer("a");
  expect(await Promise.all(both)).toEqual([["127.0.0.1"], ["127.0.0.1"]]);
  expect(asked).toEqual(["a"]);
  const again = names.find("a");
  answer("a");
  await again;
  expect(asked).toEqual(["a", "a"]);
});

it("one that leaves takes nobody's answer away", async () => {
  const { names, answer } = lookups();
  const gone = new AbortController();
  const left = names.find("a", gone.signal);
  const stays = names.find("a", new AbortController().signal);
  gone.abort();
  await expect(left).rejects.toMatchObject({ code: "aborted" });
  await expect(names.find("a", gone.signal)).rejects.toMatchObject({ code: "aborted" });
  answer("a");
  expect(await stays).toEqual(["127.0.0.1"]);
});

it("a name that is not found is told to all, and asked for anew", async () => {
  const names = new NameLookups((name) => Promise.reject(new Error(`no ${name}`)));
  for (let round = 0; round < 2; round += 1) {
    await expect(names.find("a")).rejects.toThrow("no a");
  }
});

it("names that are looked up at once are bounded; those that are asked for already are not", async () => {
  const { names, asked, answer } = lookups();
  const first = Array.from({ length: 256 }, (_, at) => names.find(`n${at}`));
  await expect(names.find("one more")).rejects.toMatchObject({ code: "queue_full" });
  const shared = names.find("n0");
  answer("n0");
  await Promise.all([first[0], shared]);
  void names.find("one more");
  expect(asked).toHaveLength(257);
});
