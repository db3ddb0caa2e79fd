import { expect, test } from "vitest";
import type { SiteName } from "../../core/ids.ts";
import { createFakeClock } from "../../core/testing/fake-clock.ts";
import { createMemoryKv } from "../../kv/index.ts";
import { createUploadBook } from "./site-uploads.ts";

test("the uploads that were begun at a site are known until they end, also to the next process, and to no other site", async () => {
  const kv = createMemoryKv();
  const clock = createFakeClock();
  const book = createUploadBook(kv, clock, "one" as SiteName);
  await book.begun("a".repeat(3_000));
  await book.begun("b");
  await book.ended("b");
  const next = createUploadBook(kv, clock, "one" as SiteName);
  expect([await next.isOurs("a".repeat(3_000)), await next.isOurs("b"), await next.isOurs("c")]).toEqual([
    true,
    false,
    false,
  ]);
  expect(await createUploadBook(kv, clock, "two" as SiteName).isOurs("a".repeat(3_000))).toBe(false);
});

test("what began long ago is forgotten, however many there are", async () => {
  const kv = createMemoryKv();
  const clock = createFakeClock();
  const book = createUploadBook(kv, clock, "one" as SiteName);
  for (let number = 0; number < 1_100; number++) await book.begun(`old-${number}`);
  await clock.advance(1_000);
  await book.begun("new");
  await book.forgetBefore(clock.nowMs());
  expect([await book.isOurs("old-0"), await book.isOurs("old-1099"), await book.isOurs("new")]).toEqual([
    false,
    false,
    true,
  ]);
});
