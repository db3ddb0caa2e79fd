import { randomBytes } from "node:crypto";
import { describe, expect } from "vitest";
import { GfsError } from "../../../../src/core/errors.ts";
import type { MultipartUpload, PartBody, PartInfo } from "../../../../src/stores/index.ts";
import { ctx, part, putObject, readObject, type Suite } from "../access.ts";

/** Uploads whose parts have sizes of their own, as clients send them. */
export function describeParts(suite: Suite): void {
  /** A body that comes from a connection. */
  const once = (bytes: Buffer, sizeBytes = bytes.length): PartBody => {
    let opened = false;
    return {
      sizeBytes,
      open() {
        if (opened) throw new GfsError("IncompleteBody", "The body can be read once.");
        opened = true;
        return part(bytes).open();
      },
    };
  };
  const send = async (upload: MultipartUpload, partNumber: number, bytes: Buffer): Promise<PartInfo> =>
    await suite.store.uploadPart(ctx, upload, partNumber, once(bytes));
  const begin = async (): Promise<{ upload: MultipartUpload; least: number; key: string } | undefined> => {
    const limits = suite.store.capabilities.multipart;
    if (limits === undefined) return undefined;
    const key = `${suite.fresh()}parts`;
    return {
      key,
      least: Math.max(limits.minPartBytes, 70_000),
      upload: await suite.store.createMultipart(ctx, key, {}),
    };
  };
  const completed = async (
    upload: MultipartUpload,
    parts: readonly PartInfo[],
    bodies: readonly Buffer[],
  ): Promise<void> => {
    const whole = Buffer.concat(bodies);
    const info = await suite.store.completeMultipart(ctx, upload, parts);
    expect(info.sizeBytes).toBe(whole.length);
    expect((await readObject(suite.store, upload.key)).equals(whole)).toBe(true);
    await expect(suite.store.listParts(ctx, upload)).rejects.toMatchObject({ code: "NotFound" });
    await suite.store.delete(ctx, upload.key);
  };

  describe("parts of their own sizes", () => {
    suite.test(
      "have numbers with gaps and arrive in any order, the last and smallest first",
      async () => {
        const begun = await begin();
        if (begun === undefined) return;
        const { upload, least } = begun;
        const bodies = [
          randomBytes(least + 5),
          randomBytes(least),
          randomBytes(least + 1_000),
          randomBytes(13),
        ] as const;
        const last = await send(upload, 900, bodies[3]);
        const [second, third] = await Promise.all([send(upload, 7, bodies[1]), send(upload, 8, bodies[2])]);
        const first = await send(upload, 2, bodies[0]);
        const listed = await suite.store.listParts(ctx, upload);
        expect(listed).toEqual([first, second, third, last]);
        await completed(upload, listed, bodies);
      },
      60_000,
    );

    suite.test(
      "all of one size but the last need no order either",
      async () => {
        const begun = await begin();
        if (begun === undefined) return;
        const { upload, least } = begun;
        const bodies = [randomBytes(least), randomBytes(least), randomBytes(least), randomBytes(99)];
        const parts: PartInfo[] = [];
        await Promise.all(
          [2, 0, 3, 1].map(
            async (index) => void (parts[index] = await send(upload, index + 1, bodies[index] as Buffer)),
          ),
        );
        await completed(upload, parts, bodies);
      },
      60_000,
    );

    suite.test(
      "are replaced by being sent again, larger or smaller, and stay when what should replace them fails",
      async () => {
        const begun = await begin();
        if (begun === undefined) return;
        const { upload, least } = begun;
        const old = await send(upload, 1, randomBytes(least));
        const larger = await send(upload, 1, randomBytes(least + 4_321));
        const body = randomBytes(least + 17);
        const smaller = await send(upload, 1, body);
        expect(new Set([old.etag, larger.etag, smaller.etag]).size).toBe(3);
        const broken: PartBody = {
          sizeBytes: least,
          async *open() {
            yield randomBytes(1_000);
            throw new GfsError("Canceled", "The client went away.");
          },
        };
        await expect(suite.store.uploadPart(ctx, upload, 1, broken)).rejects.toMatchObject({ code: "Canceled" });
        for (const wrong of [least + 1, least - 1]) {
          await expect(suite.store.uploadPart(ctx, upload, 1, once(randomBytes(least), wrong))).rejects.toMatchObject({
            code: "IncompleteBody",
          });
        }
        expect(await suite.store.listParts(ctx, upload)).toEqual([smaller]);
        const tail = randomBytes(5);
        await completed(upload, [smaller, await send(upload, 2, tail)], [body, tail]);
      },
      60_000,
    );

    suite.test(
      "may be left out when the object is made",
      async () => {
        const begun = await begin();
        if (begun === undefined) return;
        const { upload, least } = begun;
        const bodies = [randomBytes(least), randomBytes(least), randomBytes(least), randomBytes(least)] as const;
        const parts: PartInfo[] = [];
        for (const [index, body] of bodies.entries()) parts.push(await send(upload, index + 1, body));
        const [first, , third] = parts as [PartInfo, PartInfo, PartInfo, PartInfo];
        await expect(
          suite.store.completeMultipart(ctx, upload, [{ ...first, etag: third.etag }]),
        ).rejects.toMatchObject({ code: expect.stringMatching(/^(?:InvalidArgument|Conflict)$/) });
        await completed(upload, [first, third], [bodies[0], bodies[2]]);
      },
      60_000,
    );

    suite.test("take metadata that is known only at the end, where the site can still keep it", async () => {
      const limits = suite.store.capabilities.multipart;
      if (limits === undefined || !suite.store.capabilities.userMetadata) return;
      const key = `${suite.fresh()}late`;
      const upload = await suite.store.createMultipart(ctx, key, { metadata: { early: "1" } });
      const sent = await send(upload, 1, randomBytes(10));
      const info = await suite.store.completeMultipart(ctx, upload, [sent], { metadata: { late: "2" } });
      const head = await suite.store.head(ctx, key);
      expect(head.metadata).toEqual(info.metadata);
      expect(head.metadata["early"]).toBe("1");
      if (suite.store.driver !== "s3") expect(head.metadata["late"]).toBe("2");
      await suite.store.delete(ctx, key);
    });

    suite.test(
      "stay when completing them is refused for what lies there, and are then completed over that",
      async () => {
        const begun = await begin();
        if (begun === undefined || !suite.store.capabilities.conditionalWrites) return;
        const { upload, key } = begun;
        const body = randomBytes(100);
        const sent = await send(upload, 1, body);
        const { etag } = await putObject(suite.store, key, Buffer.from("there before"));
        for (const conditions of [{ ifNoneMatch: "*" as const }, { ifMatch: "0".repeat(32) }])
          await expect(suite.store.completeMultipart(ctx, upload, [sent], conditions)).rejects.toMatchObject({
            code: "PreconditionFailed",
          });
        expect((await readObject(suite.store, key)).toString()).toBe("there before");
        await suite.store.completeMultipart(ctx, upload, [sent], { ifMatch: etag });
        expect((await readObject(suite.store, key)).equals(body)).toBe(true);
        await suite.store.delete(ctx, key);
      },
    );

    suite.test("may be a single one without bytes", async () => {
      const begun = await begin();
      if (begun === undefined) return;
      await completed(begun.upload, [await send(begun.upload, 1, Buffer.alloc(0))], []);
    });

    suite.test("are kept by a sweep while somebody wants the upload", async () => {
      const begun = await begin();
      if (begun === undefined) return;
      const { upload } = begun;
      const body = randomBytes(100);
      const sent = await send(upload, 1, body);
      const asked: string[] = [];
      await suite.store.sweep(ctx, -86_400_000, async (uploadId) => {
        asked.push(uploadId);
        return uploadId === upload.uploadId;
      });
      expect(asked).toContain(upload.uploadId);
      await completed(upload, [sent], [body]);
    });
  });
}
