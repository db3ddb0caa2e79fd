import type { FilePath } from "../../core/ids.ts";
import { type FileRecord, listPage } from "../../namespace/index.ts";
import type { Kit } from "../kit.ts";
import type { Usage } from "../service/service.ts";
import type { Ctx } from "../../core/context.ts";
import { throwIfAborted } from "../../core/context.ts";

const FILES_A_PAGE = 1_000;

/** Adds up what the catalog knows below a prefix, a page at a time, so that a large tree blocks nobody. */
export async function usage(kit: Kit, ctx: Ctx, prefix: string): Promise<Usage> {
  const bySite = new Map<string, { objects: number; bytes: number }>();
  let objects = 0;
  let bytes = 0;
  const count = (file: FileRecord): void => {
    const version = file.version;
    if (version === undefined) return;
    objects += 1;
    bytes += version.sizeBytes;
    for (const copy of version.copies) {
      if (copy.state !== "present" && copy.state !== "foreign") continue;
      const site = bySite.get(copy.site) ?? { objects: 0, bytes: 0 };
      bySite.set(copy.site, { objects: site.objects + 1, bytes: site.bytes + version.sizeBytes });
    }
  };
  let after: FilePath | undefined;
  do {
    throwIfAborted(ctx, "coordinator.usage");
    const page = await kit.kv.view((tx) =>
      listPage(tx, { prefix, limit: FILES_A_PAGE, ...(after === undefined ? {} : { after }) }),
    );
    for (const { file } of page.files) count(file);
    after = page.next as FilePath | undefined;
    await new Promise((resolve) => setImmediate(resolve));
  } while (after !== undefined);
  return { prefix, objects, bytes, bySite: Object.fromEntries(bySite) };
}
