import fc from "fast-check";
import { expect, test } from "vitest";
import { InodeTable } from "./inode-table.ts";

const node = (name: string): { readonly name: string } => ({ name });

test("a node is dropped when the kernel has forgotten it and nobody holds it", () => {
  const dropped: string[] = [];
  const table = new InodeTable(node("root"), ({ name }) => void dropped.push(name));
  const { inode } = table.add(node("file"));
  table.retain(inode);
  table.lookup(inode);
  table.lookup(inode);
  table.release(inode);
  table.forget(inode, 1);
  expect(table.find(inode)).toEqual(node("file"));
  table.forget(inode, 1);
  expect(dropped).toEqual(["file"]);
  expect(table.find(inode)).toBeUndefined();
  expect(table.size).toBe(1);
});

test("a number that is used again has another generation", () => {
  const table = new InodeTable(node("root"));
  const first = table.add(node("first"));
  table.lookup(first.inode);
  table.forget(first.inode, 1);
  const second = table.add(node("second"));
  expect(second).toEqual({ inode: first.inode, generation: first.generation + 1 });
});

test("the root stays, and forgetting what is not there changes nothing", () => {
  const table = new InodeTable(node("root"));
  table.forget(1, 1e9);
  table.forget(77, 1);
  expect(table.find(1)).toEqual(node("root"));
  expect(() => table.release(77)).toThrow("There is no inode 77");
});

test("the table holds exactly what is looked up or held, whatever the order", () => {
  const step = fc.record({ kind: fc.constantFrom("add", "lookup", "forget", "retain", "release"), which: fc.nat(9) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const table = new InodeTable(node("root"));
      const model = new Map<number, { lookups: number; holds: number }>();
      for (const { kind, which } of steps) {
        const inode = [...model.keys()][which];
        const entry = inode === undefined ? undefined : model.get(inode);
        if (kind === "add") {
          const added = table.add(node("some"));
          table.lookup(added.inode);
          expect(model.has(added.inode)).toBe(false);
          model.set(added.inode, { lookups: 1, holds: 0 });
        } else if (inode !== undefined && entry !== undefined) {
          if (kind === "lookup") entry.lookups += 1;
          if (kind === "retain") entry.holds += 1;
          if (kind === "forget") entry.lookups = Math.max(entry.lookups - 1, 0);
          if (kind === "release" && entry.holds === 0) continue;
          if (kind === "release") entry.holds -= 1;
          if (kind === "forget") table.forget(inode, 1);
          else table[kind](inode);
          if (entry.lookups + entry.holds === 0) model.delete(inode);
        }
        expect(table.size).toBe(model.size + 1);
      }
      for (const [inode, { lookups }] of model) expect(table.lookups(inode)).toBe(lookups);
    }),
  );
});
