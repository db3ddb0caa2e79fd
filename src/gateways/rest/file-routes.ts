import type { z } from "zod";
import type { CoordinatorService, FileAttributes } from "../../coordinator/index.ts";
import {
  mayChangeAttribute,
  mayChangeAttributes,
  mayGiveTo,
  mayLink,
  mayMake,
  maySee,
  maySeeEntries,
} from "./access/files.ts";
import * as schemas from "./file-schemas.ts";
import { fileView, momentOfText, spaceView } from "./file-views.ts";
import { getFile, getPlace, makeDirectories } from "./file-paths.ts";
import { type Call, ok, type Reply, type Route } from "./route.ts";

/**
 * What a file system shows and keeps beside the content. A path is what it says: no symbolic link is followed, so that whoever may touch a path touches nothing
 * elsewhere. Whoever may do something does it as root.
 */

const DIRECTORY_MODE = 0o755;

const queryOf = <S extends z.ZodType>(_schema: S, call: Call): z.infer<S> => call.query as z.infer<S>;
const bodyOf = <S extends z.ZodType>(_schema: S, body: unknown): z.infer<S> => body as z.infer<S>;

const made = (path: string, file: FileAttributes): Reply => ({ status: 201, body: fileView(path, file) });

export const FILE_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/api/v1/stat",
    summary: "What stat(2) tells of a path; an empty one is the root. Of a symbolic link it tells of the link itself.",
    query: schemas.pathQuery,
    needs: (access, call) => maySee(access, queryOf(schemas.pathQuery, call).path),
    answers: { 200: schemas.fileSchema },
    run: async (service, call) => {
      const { path } = queryOf(schemas.pathQuery, call);
      return ok(fileView(path, await getFile(service, call.ctx, path)));
    },
  },
  {
    method: "GET",
    path: "/api/v1/entries",
    summary:
      "What is in a directory, as a file system shows it, with what stat(2) tells of each. 207 when a site could not be listed.",
    query: schemas.entriesQuery,
    needs: async (access, call) => await maySeeEntries(access, queryOf(schemas.entriesQuery, call).path),
    answers: { 200: schemas.entriesSchema, 207: schemas.entriesSchema },
    run: async (service, call) => await entries(service, call),
  },
  {
    method: "GET",
    path: "/api/v1/statfs",
    summary: "How much lies below a path or its nearest directory with a quota, and how much may still come.",
    query: schemas.spaceQuery,
    // It tells of sites and of what is above the path.
    needs: (access) => access.operation("globalfs:GetInfo"),
    answers: { 200: schemas.spaceSchema },
    run: async (service, call) => {
      const { path = "" } = queryOf(schemas.spaceQuery, call);
      const { inode } = await getFile(service, call.ctx, path);
      return ok(spaceView(path, await service.files.statfs(call.ctx, inode)));
    },
  },
  {
    method: "POST",
    path: "/api/v1/mkdir",
    summary: "Makes a directory; at the top that is a bucket.",
    body: schemas.mkdirBody,
    needs: async (access, { body }) => {
      const { path, uid, gid } = bodyOf(schemas.mkdirBody, body);
      await mayMake(access, path, { directory: true });
      mayGiveTo(access, path, { uid, gid });
    },
    answers: { 201: schemas.fileSchema },
    run: async (service, { ctx, body }) => {
      const { path, mode, uid = 0, gid = 0, parents } = bodyOf(schemas.mkdirBody, body);
      const request = { mode: mode === undefined ? DIRECTORY_MODE : Number.parseInt(mode, 8), uid, gid };
      if (parents === true) return made(path, await makeDirectories(service, ctx, { path, ...request }));
      return made(path, await service.files.mkdir(ctx, { ...(await getPlace(service, ctx, path)), ...request }));
    },
  },
  {
    method: "POST",
    path: "/api/v1/symlink",
    summary: "Makes a symbolic link. The target is kept as it is, whatever it leads to.",
    body: schemas.symlinkBody,
    needs: async (access, { body }) => {
      const { path, uid, gid } = bodyOf(schemas.symlinkBody, body);
      await mayMake(access, path, { directory: false });
      mayGiveTo(access, path, { uid, gid });
    },
    answers: { 201: schemas.fileSchema },
    run: async (service, { ctx, body }) => {
      const { path, target, uid = 0, gid = 0 } = bodyOf(schemas.symlinkBody, body);
      return made(
        path,
        await service.files.symlink(ctx, { ...(await getPlace(service, ctx, path)), target, uid, gid }),
      );
    },
  },
  {
    method: "POST",
    path: "/api/v1/link",
    summary:
      "Gives a file one more name. Its attributes are those of all its names, and a PUT over one of them leaves the others.",
    body: schemas.linkBody,
    needs: async (access, { body }) => await mayLink(access, bodyOf(schemas.linkBody, body)),
    answers: { 201: schemas.fileSchema },
    run: async (service, { ctx, body }) => {
      const { from, to } = bodyOf(schemas.linkBody, body);
      const { inode } = await getFile(service, ctx, from);
      return made(to, await service.files.link(ctx, { inode, ...(await getPlace(service, ctx, to)) }));
    },
  },
  {
    method: "POST",
    path: "/api/v1/attributes",
    summary: "Changes mode, owner, group or times; what is absent stays.",
    body: schemas.attributesBody,
    needs: async (access, { body }) => await mayChangeAttributes(access, bodyOf(schemas.attributesBody, body)),
    answers: { 200: schemas.fileSchema },
    run: async (service, { ctx, body }) => {
      const {
        path,
        mode,
        uid,
        gid,
        accessed_at: accessedAt,
        modified_at: modifiedAt,
      } = bodyOf(schemas.attributesBody, body);
      const { inode } = await getFile(service, ctx, path);
      const [accessed, modified] = [momentOfText(accessedAt), momentOfText(modifiedAt)];
      const changed = await service.files.setattr(ctx, {
        inode,
        ...(mode === undefined ? {} : { mode: Number.parseInt(mode, 8) }),
        ...(uid === undefined ? {} : { uid }),
        ...(gid === undefined ? {} : { gid }),
        ...(accessed === undefined ? {} : { accessed }),
        ...(modified === undefined ? {} : { modified }),
      });
      return ok(fileView(path, changed));
    },
  },
  {
    method: "GET",
    path: "/api/v1/xattrs",
    summary: "The extended attributes of a path.",
    query: schemas.pathQuery,
    needs: (access, call) => maySee(access, queryOf(schemas.pathQuery, call).path),
    answers: { 200: schemas.xattrsSchema },
    run: async (service, { ctx, query }) => {
      const { path } = query as z.infer<typeof schemas.pathQuery>;
      const { inode } = await getFile(service, ctx, path);
      const attributes: [string, string][] = [];
      for (const name of await service.files.listxattr(ctx, { inode }))
        attributes.push([name, Buffer.from(await service.files.getxattr(ctx, { inode, name })).toString("base64")]);
      return ok({ path, attributes: Object.fromEntries(attributes) });
    },
  },
  {
    method: "POST",
    path: "/api/v1/xattrs",
    summary: "Sets one extended attribute.",
    body: schemas.xattrBody,
    needs: async (access, { body }) => await mayChangeAttribute(access, bodyOf(schemas.xattrBody, body)),
    answers: { 204: undefined },
    run: async (service, { ctx, body }) => {
      const { path, name, value, only } = bodyOf(schemas.xattrBody, body);
      const { inode } = await getFile(service, ctx, path);
      const bytes = Buffer.from(value, "base64");
      await service.files.setxattr(ctx, {
        inode,
        name,
        value: bytes,
        who: ROOT,
        ...(only === undefined ? {} : { only }),
      });
      return { status: 204 };
    },
  },
  {
    method: "DELETE",
    path: "/api/v1/xattrs",
    summary: "Removes one extended attribute.",
    query: schemas.xattrQuery,
    needs: async (access, call) => await mayChangeAttribute(access, queryOf(schemas.xattrQuery, call)),
    answers: { 204: undefined },
    run: async (service, { ctx, query }) => {
      const { path, name } = query as z.infer<typeof schemas.xattrQuery>;
      const { inode } = await getFile(service, ctx, path);
      await service.files.removexattr(ctx, { inode, name, who: ROOT });
      return { status: 204 };
    },
  },
];

/** Root is asked, too, which names there may be. */
const ROOT = { uid: 0, gid: 0, groups: [] };

async function entries(service: CoordinatorService, call: Call): Promise<Reply> {
  const { path, after, limit = 1_000 } = queryOf(schemas.entriesQuery, call);
  const { inode } = await getFile(service, call.ctx, path);
  const page = await service.files.readdirplus(call.ctx, {
    inode,
    limit,
    ...(after === undefined ? {} : { cookie: after }),
  });
  const above = path === "" ? "" : `${path}/`;
  const last = page.entries.at(-1);
  const { failedSites = [] } = page;
  return {
    status: failedSites.length > 0 ? 207 : 200,
    body: {
      entries: page.entries.map(({ name, attributes }) => fileView(above + name, attributes)),
      failed_sites: failedSites,
      ...(page.isLast || last === undefined ? {} : { next: last.cookie }),
    },
  };
}
