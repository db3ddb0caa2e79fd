import { expect } from "vitest";
import { rigCtx } from "../../src/coordinator/testing/rig.ts";
import { everywhere } from "./matrix.ts";
import { bytesOf, s3CodeOf, sendPart } from "./upload-setting.ts";

everywhere("U7 uploads are listed by key, then by when they began, with prefixes rolled up", async ({ start }) => {
  const rig = await start({ one: "primary" });
  const keys = ["b/a", "b/a", "b/a-b", "b/a/x", "b/a/y", "b/z", "c/other"];
  const begun: string[] = [];
  for (const key of keys) begun.push((await rig.coordinator.createUpload(rigCtx, { key })).uploadId);
  for (const limit of [1, 2, 3, 10]) {
    const seen: string[] = [];
    let after: { key: string; uploadId?: string } | undefined;
    do {
      const page = await rig.coordinator.listUploads(rigCtx, {
        prefix: "b/",
        delimiter: "/",
        limit,
        ...(after === undefined ? {} : { afterKey: after.key }),
        ...(after?.uploadId === undefined ? {} : { afterUploadId: after.uploadId }),
      });
      seen.push(...[...page.uploads.map(({ key }) => key), ...page.prefixes].sort());
      expect(page.uploads.length + page.prefixes.length).toBeLessThanOrEqual(limit);
      after = page.next;
    } while (after !== undefined);
    expect(seen).toEqual(["b/a", "b/a", "b/a-b", "b/a/", "b/z"]);
  }
  const plain = await rig.coordinator.listUploads(rigCtx, { prefix: "b/", limit: 10 });
  expect(plain.uploads.map(({ uploadId }) => uploadId)).toEqual(begun.slice(0, 6));
  const later = await rig.coordinator.listUploads(rigCtx, { prefix: "b/", afterKey: "b/a", limit: 10 });
  expect(later.uploads.map(({ key }) => key)).toEqual(["b/a-b", "b/a/x", "b/a/y", "b/z"]);
});

everywhere("U7 parts are listed by number", async ({ start }) => {
  const rig = await start({ one: "primary" });
  const upload = await rig.coordinator.createUpload(rigCtx, { key: "b/x" });
  for (const number of [300, 2, 70, 10_000]) await sendPart(rig, upload, number, bytesOf(number));
  const page = await rig.coordinator.listParts(rigCtx, { ...upload, limit: 3 });
  expect([page.parts.map(({ partNumber }) => partNumber), page.next]).toEqual([[2, 70, 300], 300]);
  const rest = await rig.coordinator.listParts(rigCtx, { ...upload, limit: 3, after: 300 });
  expect([rest.parts.map(({ sizeBytes }) => sizeBytes), rest.next]).toEqual([[10_000], undefined]);
  expect(await s3CodeOf(sendPart(rig, upload, 10_001, bytesOf(1)))).toBe("InvalidArgument");
});
