/** Deleting one object, or a thousand in one request. */
import { createHash } from "node:crypto";
import { forEachBounded } from "../../../core/async/for-each.ts";
import type { Ctx } from "../../../core/context.ts";
import { GfsError, isGfsError, toGfsError } from "../../../core/errors.ts";
import type { DeleteOutcome, ETag } from "../../store.ts";
import type { S3Client } from "./client.ts";
import { failureInside, toError } from "./failures.ts";
import { headObject, quoteEtag } from "./reading.ts";
import { childrenNamed, childText, escapeXml, fitsXml } from "../../../core/xml.ts";
import { parseAnswer } from "./xml.ts";

const PARALLEL_DELETES = 16;

/**
 * With `ifMatch` looks first: some endpoints ignore the condition on a delete, and then only a write that comes between
 * the look and the delete can be lost. Where the endpoint enforces it, nothing can.
 */
export async function deleteObject(
  client: S3Client,
  ctx: Ctx,
  fullKey: string,
  ifMatch: ETag | undefined,
): Promise<void> {
  const op = "s3.delete";
  try {
    if (ifMatch !== undefined) {
      const current = await headObject(client, ctx, fullKey, fullKey);
      if (current.etag !== ifMatch)
        throw new GfsError("PreconditionFailed", "The object is another one by now.", { op });
    }
    const headers = ifMatch === undefined ? {} : { "if-match": quoteEtag(ifMatch) };
    await client.sendForText(ctx, { op, method: "DELETE", key: fullKey, headers });
  } catch (error) {
    if (!isGfsError(error, "NotFound")) throw error;
  }
}

export class BulkDelete {
  readonly #client: S3Client;
  readonly #prefix: string;
  /** Some endpoints have no request for it, GCS for long among them; found out once. */
  #supported = true;

  constructor(client: S3Client, prefix: string) {
    this.#client = client;
    this.#prefix = prefix;
  }

  async delete(ctx: Ctx, keys: readonly string[]): Promise<DeleteOutcome[]> {
    const errors = new Map<string, Error>();
    const together = this.#supported && keys.length > 1 ? keys.filter(fitsXml) : [];
    const done = together.length > 0 && (await this.#deleteTogether(ctx, together, errors));
    const single = done ? keys.filter((key) => !fitsXml(key)) : keys;
    await forEachBounded(single, PARALLEL_DELETES, async (key) => {
      try {
        await deleteObject(this.#client, ctx, this.#prefix + key, undefined);
      } catch (error) {
        errors.set(key, toGfsError(error, "s3.deleteMany"));
      }
    });
    return keys.map((key) => {
      const error = errors.get(key);
      return error === undefined ? { key } : { key, error };
    });
  }

  /** Resolves with false when the endpoint does not know the request. */
  async #deleteTogether(ctx: Ctx, keys: readonly string[], errors: Map<string, Error>): Promise<boolean> {
    const op = "s3.deleteMany";
    const objects = keys.map((key) => `<Object><Key>${escapeXml(this.#prefix + key)}</Key></Object>`).join("");
    const body = Buffer.from(
      `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>${objects}</Delete>`,
    );
    let text: string;
    try {
      ({ text } = await this.#client.sendForText(ctx, {
        op,
        method: "POST",
        query: { delete: "" },
        headers: { "content-md5": createHash("md5").update(body).digest("base64"), "content-type": "application/xml" },
        body,
        payloadHash: createHash("sha256").update(body).digest("hex"),
      }));
    } catch (error) {
      if (!isGfsError(error, "Unsupported", "MethodNotAllowed")) throw error;
      this.#supported = false;
      return false;
    }
    const root = parseAnswer(text);
    const failure = failureInside(op, root);
    if (failure !== undefined) throw toError(failure);
    for (const element of childrenNamed(root, "Error")) {
      const code = childText(element, "Code") ?? "InternalError";
      if (code === "NoSuchKey") continue;
      const message = childText(element, "Message");
      const key = (childText(element, "Key") ?? "").slice(this.#prefix.length);
      errors.set(key, toError({ op, status: 500, code, ...(message === undefined ? {} : { message }) }));
    }
    return true;
  }
}
