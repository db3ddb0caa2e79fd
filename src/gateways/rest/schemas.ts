import { z } from "zod";

/** What goes in and out as JSON. The same schemas check requests and make the OpenAPI document. */

const siteName = z.string().min(1).max(63);
const key = z.string().min(1).max(4_096);
const time = z.string().describe("ISO 8601");

export const errorSchema = z.object({ error: z.string(), code: z.string(), request_id: z.string() });

export const objectSchema = z.object({
  key: z.string(),
  size: z.number(),
  etag: z.string(),
  last_modified: time,
  content_type: z.string().optional(),
  checksum: z.string().optional(),
  version_id: z.string().optional(),
  kind: z
    .enum(["symlink", "fifo", "socket", "characterDevice", "blockDevice"])
    .optional()
    .describe("Of what is no object."),
});
export const putSchema = objectSchema.extend({ pending_sites: z.array(z.string()).optional() });
export const failedSitesSchema = z.array(z.object({ site: z.string(), error: z.string() }));
export const listEnvelopeSchema = z.object({
  objects: z.array(objectSchema),
  prefixes: z.array(z.string()),
  continuation: z.string().optional(),
  failed_sites: failedSitesSchema,
});
export const listSchema = z.union([z.array(objectSchema), listEnvelopeSchema]);

const limit = (most: number) => z.coerce.number().int().min(1).max(most);
const flag = z.enum(["true", "false", "1", "0"]).transform((text) => text === "true" || text === "1");

export const listQuery = z.strictObject({
  prefix: z.string().optional(),
  limit: limit(1_000).optional(),
  delimiter: z.literal("/").optional(),
  after: z.string().optional(),
  continuation: z.string().optional(),
  others: flag.optional().describe("Symbolic links and special files, too, each with its kind."),
  envelope: flag.optional().describe("Answer an object with prefixes and the continuation instead of an array."),
});

const foreignPolicy = z.enum(["merge", "import", "ignore"]);

export const siteSchema = z.object({
  name: z.string(),
  role: z.enum(["primary", "backup", "burst"]),
  driver: z.string(),
  location: z.string(),
  healthy: z.boolean(),
  error: z.string().optional(),
  circuit_state: z.enum(["closed", "open", "half-open"]).optional(),
  latency_ms: z.number().optional(),
  last_checked_at: time.optional(),
  foreign: foreignPolicy,
  imported_objects: z.number().optional(),
  import_refused: z.number().optional(),
  imported_at: time.optional(),
});

export const addSiteBody = z.union([
  z.strictObject({
    name: siteName,
    role: z.enum(["primary", "backup", "burst"]),
    uri: z.string().min(1).max(2_048),
    adopt: z.boolean().optional(),
    foreign: foreignPolicy.optional(),
  }),
  z.strictObject({
    name: siteName,
    role: z.enum(["primary", "backup", "burst"]),
    s3_bucket: z.string().min(1).max(255),
    s3_region: z.string().max(64).optional(),
    s3_endpoint: z.string().max(2_048).optional(),
    adopt: z.boolean().optional(),
    foreign: foreignPolicy.optional(),
  }),
]);

export const removeSiteQuery = z.strictObject({ force: flag.optional() });

export const renameBody = z.strictObject({ from: key, to: key, overwrite: z.boolean().optional() });
export const copyBody = z.strictObject({
  from: key,
  to: key,
  overwrite: z.boolean().optional().describe("Absent: 409 when there is an object."),
});
export const deleteBody = z.strictObject({ keys: z.array(key).min(1).max(1_000) });
export const deletedSchema = z.object({
  results: z.array(
    z.object({
      key: z.string(),
      deleted: z.boolean().describe("False when there was nothing, or it could not be deleted."),
      pending_sites: z.array(z.string()).optional(),
      error: z.string().optional(),
      code: z.string().optional(),
    }),
  ),
});
export const replicateBody = z.strictObject({ key, from: siteName, to: siteName });

export const jobSchema = z.object({
  id: z.string(),
  kind: z.enum(["replicate", "remove", "publish", "repair", "verify"]),
  state: z.enum(["waiting", "running", "paused", "done", "failed", "canceled"]),
  key: z.string(),
  site: z.string(),
  from: z.string().optional(),
  size: z.number(),
  bytes_done: z.number(),
  bytes_per_second: z.number().optional(),
  eta_seconds: z.number().optional(),
  attempts: z.number(),
  reason: z.string().optional(),
  created_at: time,
  changed_at: time,
  not_before: time.optional(),
  waits_for: z.string().optional().describe("Why it stands still."),
});
export const jobStates = z.enum(["waiting", "running", "paused", "done", "failed", "canceled"]);
export const auditQuery = z.strictObject({
  limit: limit(1_000).optional(),
  after: z.coerce.number().int().min(0).optional(),
  before: z.coerce.number().int().min(1).optional(),
  user: z.string().optional(),
  path: z.string().optional(),
});

/** What a line has besides follows from its kind. */
const auditLine = z.looseObject({
  seq: z.number(),
  at: time,
  kind: z.enum(["change", "refusal", "use", "trail"]),
  door: z.string().optional(),
  user: z.string().optional(),
  key: z.string().optional(),
  from: z.string().optional(),
  op: z.string().optional(),
  path: z.string().optional(),
  paths: z.array(z.string()).optional(),
  status: z.number().optional(),
  code: z.string().optional(),
  request_id: z.string().optional(),
  prev: z.string(),
});

export const auditSchema = z.object({ lines: z.array(auditLine), before: z.number().optional() });

export const jobsQuery = z.strictObject({
  state: jobStates.optional(),
  limit: limit(1_000).optional(),
  continuation: z.string().optional(),
  order: z.enum(["oldest", "newest"]).optional(),
  counts: flag.optional().describe("Count every job by its state."),
});
export const pauseBody = z.strictObject({ reason: z.string().min(1).max(500).optional() });
const pauseSchema = z.object({ since: time, by: z.string().optional(), reason: z.string().optional() });
export const jobsSchema = z.object({
  jobs: z.array(jobSchema),
  continuation: z.string().optional(),
  counts: z.record(jobStates, z.number()).optional(),
  paused: pauseSchema.optional().describe("Absent while jobs run."),
});

export const usageQuery = z.strictObject({ prefix: z.string().optional() });
export const usageSchema = z.object({
  prefix: z.string(),
  objects: z.number(),
  bytes: z.number(),
  by_site: z.record(z.string(), z.object({ objects: z.number(), bytes: z.number() })),
});

const quotaPath = z.string().max(4_096).describe("A directory; empty is the whole tree.");
const limitSchema = z.int().nonnegative();
export const changeKind = z.enum(["created", "updated", "removed", "renamed"]);
export const eventsQuery = z.strictObject({
  prefix: z.string().max(4_096).optional(),
  kinds: z
    .string()
    .transform((text) => text.split(","))
    .pipe(changeKind.array().min(1))
    .optional()
    .describe("Separated by commas; all when absent."),
  after: z.coerce
    .number()
    .int()
    .min(0)
    .max(Number.MAX_SAFE_INTEGER)
    .optional()
    .describe("The id of an event: what came after it is told. 0 for all that is kept; absent: from now on."),
});
export const changeSchema = z.object({
  position: z.number().describe("The id of the event."),
  kind: changeKind,
  path: z.string(),
  from: z.string().optional().describe("Of a rename: the path before."),
  cause: z.string().optional(),
  inode: z.number(),
  version_id: z.string().optional().describe("Of files with content."),
  at: time,
});

export const quotaQuery = z.strictObject({ path: quotaPath.optional() });
export const quotaBody = z.strictObject({
  path: quotaPath,
  max_bytes: limitSchema.optional().describe("Of files and their older versions. Without it there is no limit."),
  max_inodes: limitSchema.optional().describe("Of files, directories and links. Without it there is no limit."),
});
export const directoryUsageSchema = z.object({
  path: z.string(),
  bytes: z.number(),
  inodes: z.number(),
  older_bytes: z.number(),
  max_bytes: z.number().optional(),
  max_inodes: z.number().optional(),
});

export const sessionSchema = z.object({
  id: z.string(),
  host: z.string(),
  labels: z.record(z.string(), z.string()),
  since: time,
  served_by: z.string().optional().describe("The coordinator. Absent: it is gone, and the session may come back."),
  ending: z.enum(["barred", "ended"]).optional(),
  covered: z
    .number()
    .optional()
    .describe(
      "Directories and files that it answers from without asking. This and what follows: where this coordinator serves it.",
    ),
  behind: z.number().optional().describe("Changes that it was told of and has not acknowledged."),
  trusted_for_ms: z.number().optional().describe("How long it may trust what it has, when it is not heard of again."),
  waited_for_since: time.optional().describe("Since when changes wait for it."),
});
export const leasesQuery = z.strictObject({ path: key.optional(), limit: limit(1_000).optional() });
export const leasesSchema = z.object({
  leases: z.array(
    z.object({
      inode: z.number(),
      path: z.string().optional(),
      type: z.enum(["read", "write", "flock", "posix"]),
      state: z.enum(["held", "waiting"]),
      session: z.string(),
      host: z.string().optional(),
      owner: z.string().optional().describe("Of a lock: the open file or process of the session."),
      epoch: z.number().optional().describe("Of a write lease."),
      since: time.optional(),
      spans: z
        .array(z.object({ start: z.number(), end: z.number(), mode: z.enum(["shared", "exclusive"]) }))
        .optional()
        .describe("The bytes that are locked, up to `end`, which is not among them."),
    }),
  ),
  more: z.boolean().describe("There are more than these."),
});

const grantSchema = z.strictObject({
  path: z.string().max(4_096).describe("Whole components; empty is everything."),
  role: z.enum(["reader", "writer", "admin", "user"]),
});
export const accessKeySchema = z.object({
  id: z.string(),
  user: z.string(),
  grants: z.array(grantSchema),
  created_at: time,
  expires_at: time.optional(),
  created_by: z.string().optional().describe("The id of the key that made it."),
});
export const permissionsQuery = z.strictObject({
  path: z.string().max(4_096),
  action: z
    .string()
    .max(64)
    .optional()
    .describe("read, list, write, delete, admin, or one of S3's; absent: those five."),
});
export const permissionsSchema = z.object({
  id: z.string(),
  user: z.string(),
  path: z.string(),
  expired: z.boolean(),
  permissions: z.array(z.object({ action: z.string(), allowed: z.boolean(), by: z.string(), because: z.string() })),
});
export const newAccessKeySchema = accessKeySchema.extend({
  secret: z.string().describe("Told only now."),
  token: z.string().describe("The same key as one text, for X-GlobalFS-API-Key. Told only now."),
  session_token: z.string().optional().describe("Requests with this key must carry it."),
});
export const createAccessKeyBody = z.strictObject({
  user: z.string().min(1).max(64),
  grants: z.array(grantSchema).min(1).max(32),
  expires_in_seconds: z.number().int().min(1).optional(),
  id: z.string().min(3).max(128).optional().describe("Of a key that is brought along, with its secret."),
  secret: z.string().min(8).max(128).optional(),
});

export const importBody = z.strictObject({ prefix: z.string().optional(), after: z.string().optional() });
export const importProgressSchema = z.object({
  scanned: z.number(),
  adopted: z.number(),
  skipped: z.number(),
  refused: z.number(),
  refused_example: z.string().optional(),
  position: z.string(),
  done: z.boolean(),
});

export const infoSchema = z.object({
  version: z.string(),
  cluster_name: z.string(),
  access: z.enum(["keys", "open"]),
  uptime_seconds: z.number(),
  sites: z.number(),
  is_leader: z.boolean(),
  replication_queue_depth: z.number(),
  jobs_paused: pauseSchema.optional().describe("Absent while jobs run."),
  set_aside_bytes: z.number().describe("Kept of objects that lost against another of their path."),
  sites_by_role: z.record(z.string(), z.number()),
  health: z.object({ healthy: z.number(), unhealthy: z.number(), last_checked_at: time.optional() }),
  catalog: z.object({ engine: z.string(), entries: z.number() }),
  backup: z
    .object({
      last: z
        .object({ at: time, key: z.string(), size: z.number(), sites: z.array(z.string()) })
        .optional()
        .describe("The newest that a site took."),
      failure: z.object({ at: time, error: z.string() }).optional().describe("What went wrong at the last attempt."),
    })
    .optional()
    .describe("Of the catalog; absent where it is not backed up to the sites."),
});

const explainedRoute = z.object({
  rule: z.string().optional(),
  order: z.array(z.string()),
  skipped: z.array(z.object({ site: z.string(), reason: z.string() })),
});
export const explainSchema = z.object({
  key: z.string(),
  exists: z.boolean(),
  kind: z.enum(["file", "directory", "symlink", "fifo", "socket", "characterDevice", "blockDevice"]).optional(),
  object: objectSchema.optional(),
  copies: z.array(
    z.object({
      site: z.string(),
      key: z.string(),
      state: z.string(),
      reason: z.string().optional(),
      publish_to: z.string().optional().describe("The key that it waits to be published under."),
      changed_at: time,
      healthy: z.boolean(),
    }),
  ),
  read: explainedRoute,
  write: z.object({
    rule: z.string().optional(),
    required: z.array(z.string()),
    following: z.array(z.string()),
    publish: z
      .enum(["before-ack", "soon", "never"])
      .describe("When what replaces an object comes under its path at the sites."),
  }),
  delete: explainedRoute,
  jobs: z.array(jobSchema),
  cached_bytes: z.number(),
  deleted: z.object({ at: time, version_id: z.string() }).optional(),
  notes: z.array(z.string()),
});
