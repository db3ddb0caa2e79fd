/** Copies within the account, made by Azure. */
import type { BlockBlobClient } from "@azure/storage-blob";
import type { Ctx } from "../../../core/context.ts";
import { GfsError, isGfsError } from "../../../core/errors.ts";
import type { Clock } from "../../../core/ports/clock.ts";
import type { CopyOptions, ObjectInfo } from "../../store.ts";
import { allowManyListeners } from "../remote/shared-signal.ts";
import { azureConditions, azureMetadata, infoOf } from "./attributes.ts";
import { toAzureError } from "./failures.ts";
import { blobExists } from "./reading.ts";

export interface BlobCopy {
  readonly from: BlockBlobClient;
  readonly to: BlockBlobClient;
  readonly key: string;
  readonly options: CopyOptions;
  readonly clock: Clock;
}

const FIRST_POLL_MS = 20;
const MAX_POLL_MS = 2_000;

export async function copyBlob(ctx: Ctx, copy: BlobCopy): Promise<ObjectInfo> {
  const abortSignal = allowManyListeners(ctx.signal);
  const { from, to, options, key } = copy;
  try {
    const source = await from.getProperties({ abortSignal });
    const sourceEtag = options.sourceIfMatch === undefined ? source.etag : `"${options.sourceIfMatch}"`;
    const { sha256 } = infoOf(key, 0, source);
    const poller = await to.beginCopyFromURL(from.url, {
      abortSignal,
      conditions: azureConditions(options),
      sourceConditions: sourceEtag === undefined ? {} : { ifMatch: sourceEtag },
      ...(options.metadata === undefined ? {} : { metadata: azureMetadata(options, sha256) }),
    });
    await waitForCopy(ctx, copy, poller.getOperationState().result?.copyStatus);
    // Copying takes the content type along; another one is set on what was just copied, if it still is that.
    if (options.contentType !== undefined) {
      const { etag } = await to.getProperties({ abortSignal });
      await to.setHTTPHeaders(
        {
          blobContentType: options.contentType,
          ...(source.contentMD5 === undefined ? {} : { blobContentMD5: source.contentMD5 }),
        },
        { abortSignal, conditions: etag === undefined ? {} : { ifMatch: etag } },
      );
    }
    const facts = await to.getProperties({ abortSignal });
    return infoOf(key, facts.contentLength ?? 0, facts);
  } catch (error) {
    const failure = toAzureError(error, "azure.copy", ctx.signal);
    if (isGfsError(failure, "NotFound") && options.ifMatch !== undefined && (await blobExists(from, ctx))) {
      throw new GfsError("PreconditionFailed", "The object is not there any more.", {
        op: "azure.copy",
        cause: failure,
      });
    }
    throw failure;
  }
}

/** Within an account Azure mostly has copied when it answers; the largest blobs take a while. */
async function waitForCopy(ctx: Ctx, { to, clock }: BlobCopy, status: string | undefined): Promise<void> {
  let current = status;
  for (let pauseMs = FIRST_POLL_MS; current !== "success"; pauseMs = Math.min(pauseMs * 2, MAX_POLL_MS)) {
    if (current === "failed" || current === "aborted") {
      throw new GfsError("Unavailable", "Azure gave up the copy; try again.", { op: "azure.copy", retry: "safe" });
    }
    if (current !== undefined) await clock.sleep(pauseMs, ctx.signal);
    current = (await to.getProperties({ abortSignal: ctx.signal })).copyStatus ?? "success";
  }
}
