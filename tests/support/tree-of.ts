import type { Kv } from "../../src/kv/index.ts";
import { listPage } from "../../src/namespace/index.ts";

/** Everything that stands at every path, apart from numbers of inodes and when rows were changed. */
export async function treeOf(kv: Kv): Promise<Record<string, unknown>> {
  const tree: Record<string, unknown> = {};
  for (let after: string | undefined; ;) {
    const from = after;
    const page = await kv.view((tx) =>
      listPage(tx, { prefix: "", limit: 1_000, ...(from === undefined ? {} : { after: from }) }),
    );
    for (const { key, file } of page.files) {
      const { kind, mode, uid, gid, linkCount, sizeBytes, modified, accessed, version } = file;
      const { copies = [], blocks: _, ...content } = version ?? {};
      const places = copies.map(({ site, key: at, state, etag }) => `${site} ${at} ${state} ${etag}`).toSorted();
      tree[key] = { kind, mode, uid, gid, linkCount, sizeBytes, modified, accessed, content, places };
    }
    if (page.next === undefined) return tree;
    after = page.next;
  }
}
