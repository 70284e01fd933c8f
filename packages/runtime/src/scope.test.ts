import { expect, test } from "vitest";
import { Scope } from "./scope.ts";

test("releases once, in reverse order, waiting for each", async () => {
  const scope = new Scope();
  const seen: string[] = [];
  scope.add(() => void seen.push("first"));
  scope.add(async () => {
    await Promise.resolve();
    seen.push("second");
  });
  scope.add(() => void seen.push("third"));
  expect(scope.closed).toBe(false);
  const closing = scope.close();
  expect(scope.closed).toBe(true);
  expect(scope.close()).toBe(closing);
  await closing;
  expect(seen).toEqual(["third", "second", "first"]);
});

test("runs every cleanup where some fail, and reports them together", async () => {
  const scope = new Scope();
  const seen: string[] = [];
  scope.add(() => void seen.push("last"));
  scope.add(() => {
    throw new Error("at once");
  });
  scope.add(() => Promise.reject(new Error("later")));
  const error = await scope.close().catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(AggregateError);
  expect((error as AggregateError).errors.map(String)).toEqual(["Error: later", "Error: at once"]);
  expect(seen).toEqual(["last"]);
});

test("what was taken back is not released, and only that", async () => {
  const scope = new Scope();
  let released = 0;
  const cleanup = (): void => void (released += 1);
  const takeBack = scope.add(cleanup);
  scope.add(cleanup);
  takeBack();
  takeBack();
  await scope.close();
  expect(released).toBe(1);
});

test("what is taken back by another cleanup is not released", async () => {
  const scope = new Scope();
  let released = false;
  const takeBack = scope.add(() => void (released = true));
  scope.add(() => takeBack());
  await scope.close();
  expect(released).toBe(false);
});

test("a closed scope releases at once, and no failure of that escapes", async () => {
  const scope = new Scope();
  await scope.close();
  let released = false;
  scope.add(() => void (released = true));
  scope.add(() => {
    throw new Error("dropped");
  });
  scope.add(() => Promise.reject(new Error("dropped too")));
  expect(released).toBe(true);
  await new Promise((resolve) => setImmediate(resolve));
});
