import { throwIfAborted } from "../../../core/context.ts";
import { GfsError } from "../../../core/errors.ts";
import { checkObjectKey } from "../../object-key.ts";
import type { StagedWrite, StageOptions } from "../../store.ts";
import type { MemoryContent } from "./content.ts";
import { wrongLength } from "./failures.ts";

export function stageWrite(content: MemoryContent, key: string, options: StageOptions): StagedWrite {
  checkObjectKey(key);
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  let phase: "open" | "sealed" | "ended" = "open";
  let final: { readonly sha256?: string; readonly metadata?: Readonly<Record<string, string>> } = {};
  return {
    async write(chunk) {
      if (phase !== "open") throw new GfsError("Internal", `The write to ${key} has ended.`);
      if (options.sizeBytes !== undefined && sizeBytes + chunk.byteLength > options.sizeBytes) throw wrongLength();
      content.charge(chunk.byteLength);
      sizeBytes += chunk.byteLength;
      chunks.push(Buffer.from(chunk));
    },
    async seal(last = {}) {
      if (options.sizeBytes !== undefined && sizeBytes !== options.sizeBytes) throw wrongLength();
      final = last;
      phase = "sealed";
    },
    async commit(ctx, { as = key, ...conditions } = {}) {
      if (phase !== "sealed") throw new GfsError("Internal", `The write to ${key} is not sealed.`);
      throwIfAborted(ctx, "store.commit");
      const metadata = { ...options.metadata, ...final.metadata };
      checkObjectKey(as);
      const info = content.put(as, Buffer.concat(chunks), { ...options, metadata, sha256: final.sha256 }, conditions);
      phase = "ended";
      return info;
    },
    async abort() {
      if (phase !== "ended") content.charge(-sizeBytes);
      phase = "ended";
    },
  };
}
