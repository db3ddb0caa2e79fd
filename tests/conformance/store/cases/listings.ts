import { createHash, randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect } from "vitest";
import { compareKeys, type Store } from "../../../../src/stores/index.ts";
import { ctx, part, putObject, type Suite } from "../access.ts";

/** Listings against a model, and what is left of the contract. */
export function describeListings(suite: Suite): void {
  describe("listings", () => {
    suite.test(
      "come in the order of UTF-8 bytes, page by page, as a model says",
      async () => {
        const names = ["a", "a-b", "a/b", "a/c", "a0", "b/", "b/c/d", "\u{1F600}x", "\uE000y", "z z"];
        const keyArbitrary = fc
          .array(fc.constantFrom(...names), { minLength: 1, maxLength: 2 })
          .map((parts) => parts.join("/"));
        const queryArbitrary = fc.record({
          prefix: fc.oneof(fc.constant(""), fc.constantFrom("a", "a/", "b/", "b", "\uE000")),
          delimiter: fc.boolean(),
          after: fc.option(fc.oneof(keyArbitrary, fc.constantFrom("a", "a/", "b/", "zz")), { nil: undefined }),
          limit: fc.integer({ min: 1, max: 4 }),
        });
        await fc.assert(
          fc.asyncProperty(
            fc.uniqueArray(keyArbitrary, { minLength: 1, maxLength: 12 }),
            fc.array(queryArbitrary, { minLength: 1, maxLength: 6 }),
            async (keys, queries) => {
              const base = suite.fresh();
              await Promise.all(keys.map(async (key) => await putObject(suite.store, base + key, key)));
              for (const { prefix, delimiter, after, limit } of queries) {
                const query = {
                  prefix: base + prefix,
                  ...(delimiter ? { delimiter: "/" as const } : {}),
                  ...(after === undefined ? {} : { after: base + after }),
                };
                const expected = modelList(
                  keys.map((key) => base + key),
                  query,
                );
                expect(await listAll(suite.store, query, limit)).toEqual(expected);
              }
              await suite.store.deleteMany(
                ctx,
                keys.map((key) => base + key),
              );
            },
          ),
          { numRuns: suite.options.modelRuns ?? 40 },
        );
      },
      120_000,
    );

    suite.test("tell size and etag as the object does", async () => {
      const base = suite.fresh();
      const info = await putObject(suite.store, `${base}x`, "12345", {
        sha256: createHash("sha256").update("12345").digest("hex"),
      });
      const [listed] = (await suite.store.list(ctx, { prefix: base, limit: 10 })).objects;
      expect([listed?.sizeBytes, listed?.etag]).toEqual([5, info.etag]);
      expect(Math.abs((listed?.modifiedMs ?? 0) - info.modifiedMs)).toBeLessThan(2_000);
    });

    suite.test("have a limit of 1 to 1,000", async () => {
      await expect(suite.store.list(ctx, { limit: 0 })).rejects.toMatchObject({ code: "InvalidArgument" });
      await expect(suite.store.list(ctx, { limit: 1_001 })).rejects.toMatchObject({ code: "InvalidArgument" });
    });
  });

  describe("the rest", () => {
    suite.test("answers the health check", async () => {
      await suite.store.check(ctx);
    });

    suite.test("hands out addresses where it can, and says so where not", async () => {
      const key = `${suite.fresh()}presigned`;
      await putObject(suite.store, key, "by address");
      if (!suite.store.capabilities.presign) {
        await expect(suite.store.presign(ctx, key, { method: "GET", expiresSeconds: 60 })).rejects.toMatchObject({
          code: "Unsupported",
        });
        return;
      }
      const url = await suite.store.presign(ctx, key, { method: "GET", expiresSeconds: 60 });
      expect(await (await fetch(url)).text()).toBe("by address");
    });

    suite.test("sweeps what uploads left behind, and only that", async () => {
      const limits = suite.store.capabilities.multipart;
      if (limits === undefined) return;
      const base = suite.fresh();
      const kept = await putObject(suite.store, `${base}kept`, "kept");
      const upload = await suite.store.createMultipart(ctx, `${base}left`, {
        partSizeBytes: Math.max(limits.minPartBytes, 1_000),
      });
      await suite.store.uploadPart(ctx, upload, 1, part(randomBytes(10)));
      expect(await suite.store.sweep(ctx, 3_600_000)).toBe(0);
      expect((await suite.store.listParts(ctx, upload)).length).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(await suite.store.sweep(ctx, -60_000)).toBeGreaterThanOrEqual(1);
      await expect(suite.store.listParts(ctx, upload)).rejects.toMatchObject({ code: "NotFound" });
      expect((await suite.store.head(ctx, `${base}kept`)).etag).toBe(kept.etag);
    });

    suite.test("stops when it is told to", async () => {
      const key = `${suite.fresh()}aborted`;
      const staged = await suite.store.stage(ctx, key);
      await staged.write(Buffer.from("x"));
      await staged.seal();
      const signal = AbortSignal.abort(new Error("enough"));
      await expect(staged.commit({ ...ctx, signal })).rejects.toMatchObject({ code: "Canceled" });
      await staged.abort();
      await expect(suite.store.head(ctx, key)).rejects.toMatchObject({ code: "NotFound" });
    });
  });
}

interface ModelQuery {
  readonly prefix: string;
  readonly delimiter?: "/";
  readonly after?: string;
}

function modelList(
  keys: readonly string[],
  { prefix, delimiter, after }: ModelQuery,
): { objects: string[]; prefixes: string[] } {
  const objects: string[] = [];
  const prefixes = new Set<string>();
  for (const key of [...keys].sort(compareKeys)) {
    if (!key.startsWith(prefix) || (after !== undefined && compareKeys(key, after) <= 0)) continue;
    const slash = delimiter === undefined ? -1 : key.indexOf("/", prefix.length);
    if (slash === -1) objects.push(key);
    else prefixes.add(key.slice(0, slash + 1));
  }
  // Whether a prefix that `after` names is given again is left to the store.
  if (after !== undefined) prefixes.delete(after);
  return { objects, prefixes: [...prefixes] };
}

async function listAll(
  store: Store,
  query: ModelQuery,
  limit: number,
): Promise<{ objects: string[]; prefixes: string[] }> {
  const objects: string[] = [];
  const prefixes: string[] = [];
  let continuation: string | undefined;
  do {
    const page = await store.list(ctx, { ...query, limit, ...(continuation === undefined ? {} : { continuation }) });
    expect(page.objects.length + page.prefixes.length).toBeLessThanOrEqual(limit);
    objects.push(...page.objects.map(({ key }) => key));
    prefixes.push(...page.prefixes.filter((prefix) => prefix !== query.after));
    continuation = page.continuation;
  } while (continuation !== undefined);
  return { objects, prefixes };
}
