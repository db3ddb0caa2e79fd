import { GfsError } from "../../src/core/errors.ts";
import type { Store } from "../../src/stores/index.ts";
import { delegateStaged, delegateStore } from "../../src/stores/layers/delegate.ts";

const MOVABLE_BYTES = 2;

/** As at S3 and Azure: what goes up in parts, and a write that is larger than a part, cannot be given another key when it ends. */
export function fixedKeys(store: Store): Store {
  const refuse = (as: string | undefined): void => {
    if (as !== undefined) throw new GfsError("Unsupported", "An upload in parts keeps its key.");
  };
  return delegateStore(store, {
    capabilities: {
      ...store.capabilities,
      movesUploads: false,
      movableBytes: MOVABLE_BYTES,
      conditionalCopies: false,
    },
    async stage(ctx, key, options) {
      const staged = await store.stage(ctx, key, options);
      let sizeBytes = 0;
      return delegateStaged(staged, {
        async write(chunk) {
          sizeBytes += chunk.byteLength;
          await staged.write(chunk);
        },
        async commit(commitCtx, conditions) {
          if (sizeBytes > MOVABLE_BYTES) refuse(conditions?.as);
          return await staged.commit(commitCtx, conditions);
        },
      });
    },
    async completeMultipart(ctx, upload, parts, conditions) {
      refuse(conditions?.as);
      return await store.completeMultipart(ctx, upload, parts, conditions);
    },
  });
}
