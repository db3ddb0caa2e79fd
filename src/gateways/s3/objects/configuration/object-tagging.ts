import { authorizeTags } from "../../access/index.ts";
import { sendEmpty, sendXml } from "../../wire/answer.ts";
import type { Operation, S3Deps, S3Request } from "../../wire/request.ts";
import { findVersion, versionHeaders, versionIdOf } from "./object-version.ts";
import { readTagging, type Tags, writeTagging } from "../tag-set.ts";
import { readConfiguration } from "../../wire/documents.ts";

const MAX_OBJECT_TAGS = 10;

export const getObjectTagging: Operation = {
  name: "GetObjectTagging",
  action: "s3:GetObjectTagging",
  bucket: "exists",
  async run(request, deps) {
    const meta = await findVersion(request, deps);
    sendXml(request, writeTagging(meta.details?.labels?.tags ?? {}), { headers: versionHeaders(request, meta) });
  },
};

export const putObjectTagging: Operation = {
  name: "PutObjectTagging",
  action: "s3:PutObjectTagging",
  bucket: "exists",
  async run(request, deps) {
    const tags = readTagging(await readConfiguration(request, "Tagging"), { maxTags: MAX_OBJECT_TAGS });
    await authorizeTags(request, deps, tags);
    await change(request, deps, Object.keys(tags).length === 0 ? null : tags, 200);
  },
};

export const deleteObjectTagging: Operation = {
  name: "DeleteObjectTagging",
  action: "s3:DeleteObjectTagging",
  bucket: "exists",
  run: async (request, deps) => await change(request, deps, null, 204),
};

async function change(request: S3Request, { service }: S3Deps, tags: Tags | null, status: number): Promise<void> {
  const versionId = versionIdOf(request);
  const meta = await service.changeLabels(request.ctx, request.path, {
    tags,
    ...(versionId === undefined ? {} : { versionId }),
  });
  sendEmpty(request, status, versionHeaders(request, meta));
}
