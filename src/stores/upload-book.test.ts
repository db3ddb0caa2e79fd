import { expect, it } from "vitest";
import { createMemoryUploadBook } from "./upload-book.ts";

it("a book of uploads knows those that were begun, until they end", async () => {
  const book = createMemoryUploadBook();
  await book.begun("ours");
  expect([await book.isOurs("ours"), await book.isOurs("theirs")]).toEqual([true, false]);
  await book.forgetBefore(Number.POSITIVE_INFINITY);
  expect(await book.isOurs("ours")).toBe(true);
  await book.ended("ours");
  expect(await book.isOurs("ours")).toBe(false);
});
