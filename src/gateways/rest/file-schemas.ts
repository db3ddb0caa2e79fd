import { z } from "zod";
import { failedSitesSchema } from "./schemas.ts";

/** What the routes of files take and give. Modes are octal, as `chmod` has them; times are ISO 8601, to the nanosecond where there are any. */

const MOST_BYTES = 4_095;

export const bytePath = z
  .string()
  .max(MOST_BYTES)
  .describe("Bytes that are no UTF-8 are percent-encoded in an address, and in JSON lone surrogates U+DC80 to U+DCFF.");
const somePath = bytePath.min(1);
const mode = z
  .string()
  .regex(/^[0-7]{1,4}$/, "a mode is one to four octal digits, such as 0644")
  .describe("Octal, such as 0644.");
const id = z.number().int().min(0).max(0xffff_fffe);
const moment = z
  .string()
  .regex(
    /^(now|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d))$/,
    "a time is now, or one such as 2026-01-31T12:00:00Z",
  )
  .describe("ISO 8601, or now.");
const attributeName = z.string().min(1).max(255);
const base64 = z.string().regex(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/, "it is not base64");

export const fileKind = z.enum(["file", "directory", "symlink", "fifo", "socket", "characterDevice", "blockDevice"]);

export const fileSchema = z.object({
  path: z.string(),
  inode: z.number(),
  kind: fileKind,
  mode: z.string(),
  uid: z.number(),
  gid: z.number(),
  links: z.number(),
  size: z.number(),
  accessed_at: z.string(),
  modified_at: z.string(),
  changed_at: z.string(),
  created_at: z.string(),
  target: z.string().optional().describe("Of a symbolic link."),
  device: z.number().optional().describe("Of a device, its number."),
});

export const pathQuery = z.strictObject({ path: bytePath });
export const entriesQuery = z.strictObject({
  path: bytePath,
  after: z.string().optional().describe("The cookie of the page before."),
  limit: z.coerce.number().int().min(1).max(1_000).optional(),
});
export const entriesSchema = z.object({
  entries: z.array(fileSchema),
  failed_sites: failedSitesSchema,
  next: z.string().optional().describe("The cookie of the next page; absent: this is the last."),
});

export const spaceQuery = z.strictObject({ path: bytePath.optional() });
export const spaceSchema = z.object({
  path: z.string(),
  bytes: z.number(),
  inodes: z.number(),
  older_bytes: z.number(),
  max_bytes: z.number().optional(),
  max_inodes: z.number().optional(),
  left_bytes: z.number().optional().describe("Absent: nobody knows a limit."),
  left_inodes: z.number().optional(),
  sites: z.array(
    z.object({
      site: z.string(),
      role: z.string(),
      required: z.boolean().describe("What is written there comes to it before the answer."),
      total_bytes: z.number().optional().describe("Absent where the site does not tell."),
      free_bytes: z.number().optional(),
      error: z.string().optional(),
    }),
  ),
});

export const mkdirBody = z.strictObject({
  path: somePath,
  mode: mode.optional(),
  uid: id.optional(),
  gid: id.optional(),
  parents: z.boolean().optional().describe("Make those above it, too; one that is there is no failure."),
});
export const symlinkBody = z.strictObject({
  path: somePath,
  target: z.string().min(1).max(MOST_BYTES),
  uid: id.optional(),
  gid: id.optional(),
});
export const linkBody = z.strictObject({ from: somePath, to: somePath });
export const attributesBody = z.strictObject({
  path: somePath,
  mode: mode.optional(),
  uid: id.optional(),
  gid: id.optional(),
  accessed_at: moment.optional(),
  modified_at: moment.optional(),
});

export const xattrsSchema = z.object({
  path: z.string(),
  attributes: z.record(z.string(), z.string()).describe("Names, and values in base64."),
});
export const xattrBody = z.strictObject({
  path: somePath,
  name: attributeName,
  value: base64.describe("Base64."),
  only: z.enum(["create", "replace"]).optional(),
});
export const xattrQuery = z.strictObject({ path: bytePath, name: attributeName });
