import { describe, expect, it } from "vitest";
import type { FilePath, VersionId } from "../core/ids.ts";
import { createMemoryKv, type Kv, type Program, type Reader } from "../kv/index.ts";
import { listUploads, putUpload, type UploadPage, type UploadQuery } from "./uploads.ts";

async function begin(kv: Kv, paths: readonly string[]): Promise<void> {
  for (const [index, path] of paths.entries()) {
    await kv.transact(function* (tx): Program<void> {
      putUpload(tx, {
        path: path as FilePath,
        uploadId: `U${String(index).padStart(6, "0")}` as VersionId,
        startedMs: 1,
        metadata: {},
        sites: [],
        inBucket: false,
      });
    });
  }
}

/** The page, and how many rows were read for it. */
async function list(kv: Kv, query: UploadQuery): Promise<UploadPage & { readonly rows: number }> {
  let rows = 0;
  const page = await kv.view(function* (tx): Program<UploadPage> {
    const counting: Reader = {
      ...tx,
      *range(request) {
        const found = yield* tx.range(request);
        rows += found.length;
        return found;
      },
    };
    return yield* listUploads(counting, query);
  });
  return { ...page, rows };
}

describe("a page of uploads", () => {
  it("of common prefixes reads about as many rows as it shows, however many lie below each", async () => {
    const kv = createMemoryKv();
    const names = Array.from({ length: 200 }, (_, index) => `b/p${String(index).padStart(3, "0")}/`);
    await begin(
      kv,
      names.flatMap((name) => Array.from({ length: 100 }, (_, index) => `${name}${index}`)),
    );
    const page = await list(kv, { prefix: "b/", delimiter: "/", limit: 150 });
    expect(page.prefixes).toEqual(names.slice(0, 150));
    expect(page.next).toEqual({ key: names[149] });
    expect(page.rows).toBeLessThanOrEqual(152);
    const rest = await list(kv, { prefix: "b/", delimiter: "/", afterKey: names[149] as string, limit: 150 });
    expect([rest.prefixes, rest.next]).toEqual([names.slice(150), undefined]);
    expect(rest.rows).toBeLessThanOrEqual(52);
  });

  it("has uploads and common prefixes in order, whole at any size of a page", async () => {
    const kv = createMemoryKv();
    const paths = ["b/a", "b/a", "b/b/1", "b/b/2", "b/c", "b/d", "b/e", "b/f", "b/g/1", "b/h/1", "b/i", "other"];
    await begin(kv, paths);
    const expected = ["b/a", "b/a", "b/b/", "b/c", "b/d", "b/e", "b/f", "b/g/", "b/h/", "b/i"];
    for (const limit of [1, 2, 3, 10, 11]) {
      const shown: string[] = [];
      let after: UploadPage["next"];
      do {
        const page: UploadPage & { rows: number } = await list(kv, {
          prefix: "b/",
          delimiter: "/",
          limit,
          ...(after === undefined ? {} : { afterKey: after.key }),
          ...(after?.uploadId === undefined ? {} : { afterUploadId: after.uploadId }),
        });
        const both = [...page.uploads.map(({ path }) => path as string), ...page.prefixes];
        shown.push(...both.sort((one, other) => (one < other ? -1 : 1)));
        expect(page.rows).toBeLessThanOrEqual(2 * both.length + 2);
        after = page.next;
      } while (after !== undefined);
      expect(shown).toEqual(expected);
    }
  });
});
