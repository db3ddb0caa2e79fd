import { expect, test } from "vitest";
import { SharedFlush } from "./shared-flush.ts";

function deferred(): {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (e: Error) => void;
} {
  let resolve!: () => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

test("who asks during a flush waits for one that begins afterwards, all of them for the same", async () => {
  const begun: { readonly directory: string; readonly by: string; readonly end: ReturnType<typeof deferred> }[] = [];
  const flush = new SharedFlush();
  const ended: string[] = [];
  const ask = async (name: string, directory: string): Promise<void> => {
    await flush.run(directory, () => {
      const end = deferred();
      begun.push({ directory, by: name, end });
      return end.promise;
    });
    ended.push(name);
  };
  const first = ask("first", "a");
  const others = [ask("second", "a"), ask("third", "a")];
  const elsewhere = ask("elsewhere", "b");
  expect(begun.map(({ directory }) => directory)).toEqual(["a", "b"]);
  begun[0]?.end.resolve();
  begun[1]?.end.resolve();
  await Promise.all([first, elsewhere]);
  expect(ended).toEqual(expect.arrayContaining(["first", "elsewhere"]));
  expect(ended).toHaveLength(2);
  expect(begun.map(({ directory }) => directory)).toEqual(["a", "b", "a"]);
  // Who came last has found the directory most lately.
  expect(begun.map(({ by }) => by)).toEqual(["first", "elsewhere", "third"]);
  const fourth = ask("fourth", "a");
  expect(begun).toHaveLength(3);
  begun[2]?.end.resolve();
  await Promise.all(others);
  expect(ended).not.toContain("fourth");
  expect(begun).toHaveLength(4);
  begun[3]?.end.resolve();
  await fourth;
});

test("a flush that fails fails for those who asked for it, and for nobody else", async () => {
  const ends: ReturnType<typeof deferred>[] = [];
  const shared = new SharedFlush();
  const flush = (): Promise<void> => {
    const end = deferred();
    ends.push(end);
    return end.promise;
  };
  const first = shared.run("a", flush);
  const second = shared.run("a", flush);
  ends[0]?.reject(new Error("no disk"));
  await expect(first).rejects.toThrow("no disk");
  ends[1]?.resolve();
  await second;
  const third = shared.run("a", flush);
  expect(ends).toHaveLength(3);
  ends[2]?.resolve();
  await third;
});
