import { expect, test } from "vitest";
import { decodeExtensions } from "./extensions.ts";

function words(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeUInt32LE(value, index * 4);
  return bytes;
}

test("a security context and the caller's group are found among extensions that nobody knows", () => {
  const label = Buffer.from("security.selinux\0label", "latin1");
  const context = Buffer.concat([words(5, 0), label, Buffer.alloc(2)]);
  const bytes = Buffer.concat([words(8 + context.length, 1), context, words(16, 99, 0, 0), words(16, 32, 1, 1000)]);
  const { securityContexts, supplementaryGroups } = decodeExtensions(bytes);
  expect(securityContexts).toEqual([{ name: "security.selinux", value: Buffer.from("label") }]);
  expect(supplementaryGroups).toEqual([1000]);
});
