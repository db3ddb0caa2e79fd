import { z } from "zod";
import {
  choice,
  count,
  duration,
  flag,
  items,
  optional,
  section,
  size,
  text,
  texts,
  variants,
  withDefault,
} from "../../core/config/fields.ts";

const httpUrl = { pattern: /^https?:\/\/[^\s]+$/, expected: "an http:// or https:// address" };
const prefix = optional(text("Put before every key, such as `team-a/`"));

const driver = <const D extends string>(name: D) => choice([name], "Which driver talks to the store");

const file = {
  driver: driver("file"),
  path: text("Directory that holds the objects; created when it is absent"),
  intake: withDefault(
    size(
      "Contents of up to so many bytes become durable in segments that they share, and are flushed as files some seconds later, many at a time; 0: each is flushed by itself. Only on ext4, XFS, Btrfs, ZFS and F2FS of this machine",
      { maxBytes: 256 * 1024 },
    ),
    0,
  ),
};

const memory = {
  driver: driver("memory"),
  max_bytes: optional(
    size("The site takes no more than this; default 256 MiB. Further writes fail as on a full disk", { minBytes: 1 }),
  ),
};

const s3 = {
  driver: driver("s3"),
  bucket: text("Bucket"),
  region: optional(text("AWS region; absent: the bucket's own, or us-east-1 at other endpoints")),
  endpoint: optional(text("Other S3 services (MinIO, Ceph, GCS, LocalStack): their address", httpUrl)),
  prefix,
  path_style: optional(flag("Put the bucket in the path, not in the host name; default: only with `endpoint`")),
  access_key_id: optional(text("Absent: environment, profile or instance role, as the AWS tools find them")),
  secret_access_key: optional(text("Belongs to `access_key_id`", { secret: true })),
  session_token: optional(text("Belongs to temporary credentials", { secret: true })),
  profile: optional(text("Profile in ~/.aws/config and ~/.aws/credentials")),
  anonymous: withDefault(flag("Send unsigned requests, for public buckets"), false),
};

const gcs = {
  driver: driver("gcs"),
  bucket: text("Bucket"),
  endpoint: withDefault(text("Address of the interoperability API", httpUrl), "https://storage.googleapis.com"),
  prefix,
  access_key_id: optional(text("HMAC key of a service account")),
  secret_access_key: optional(text("Secret of the HMAC key", { secret: true })),
  anonymous: withDefault(flag("Send unsigned requests, for public buckets"), false),
};

const azure = {
  driver: driver("azure"),
  container: text("Container"),
  account: optional(text("Storage account; may come from `connection_string`")),
  account_key: optional(text("Key of the account", { secret: true })),
  sas: optional(text("Shared access signature, instead of a key", { secret: true })),
  connection_string: optional(text("As the Azure portal shows it", { secret: true })),
  endpoint: optional(text("Address of the blob service, when it is not Azure's own", httpUrl)),
  prefix,
};

const STORE_FIELDS = { file, memory, s3, gcs, azure };

const store = variants(
  "Where the objects are, instead of `objectfs`",
  z.discriminatedUnion("driver", [
    z.strictObject(file),
    z.strictObject(memory),
    z.strictObject(s3),
    z.strictObject(gcs),
    z.strictObject(azure),
  ]),
  "driver",
  STORE_FIELDS,
);

const objectfs = section("S3 behind the site", {
  s3_bucket: text("S3 bucket backing this site"),
  s3_region: text("AWS region"),
  s3_endpoint: optional(text("Custom endpoint (MinIO, LocalStack, etc.)", httpUrl)),
  mount_point: optional(text("Local filesystem path (informational)", { reserved: true })),
});

const cargoship = section("CargoShip", {
  endpoint: optional(text("CargoShip service endpoint", { reserved: true })),
  enabled: optional(flag("Enable CargoShip for this site", { reserved: true })),
});

const network = section("What is known of the line to the site", {
  bandwidth: optional(size("Available bandwidth in bytes per second", { minBytes: 1 })),
  latency: optional(duration("Expected round-trip latency; used until it has been measured")),
});

export const sites = items(
  "Each entry is one place that stores data.",
  section("A site", {
    name: text("Unique site identifier", {
      pattern: /^[a-z0-9][a-z0-9-]{0,62}$/,
      expected: "1 to 63 lower-case letters, digits and dashes, not beginning with a dash",
    }),
    role: choice(
      ["primary", "burst", "backup"],
      "`primary`: authoritative, written synchronously; `burst`: cloud overflow, replicated to; `backup`: read-only fallback, replicated to",
    ),
    objectfs: optional(objectfs),
    store: optional(store),
    foreign: withDefault(
      choice(
        ["merge", "import", "ignore"],
        "Objects that GlobalFS did not write: show and adopt them whenever they appear; adopt all of them once, where nobody else writes any more; or take no notice",
      ),
      "merge",
    ),
    foreign_listing_stands: withDefault(
      duration(
        "How long a listing of a directory of the site is believed with `foreign: merge`: names that it lacks cost no request, and what another tool writes may be found so much later",
        { minMs: 0 },
      ),
      0,
    ),
    cargoship: optional(cargoship),
    network: optional(network),
  }),
  { nameField: "name" },
);

export const bandwidth = items(
  "Limits for replication between two sites. The first entry that fits holds.",
  section("A limit", {
    from: text("Site read from; `*` is any"),
    to: text("Site written to; `*` is any"),
    limit: size("Bytes per second", { minBytes: 1024 }),
  }),
);

export const rules = items(
  "Evaluated in the order of `priority`. When none matches, sites are ordered primary, backup, burst.",
  section("A rule", {
    name: text("Rule identifier"),
    key_pattern: text("Glob (`*`, `**`), prefix ending in `/`, or exact key"),
    operations: withDefault(texts("Which operations it is for", { of: ["read", "write", "delete"] }), [], "[] (all)"),
    target_roles: withDefault(
      texts("Sites of which roles it chooses", { of: ["primary", "backup", "burst"] }),
      [],
      "[] (all)",
    ),
    publish: withDefault(
      choice(
        ["before-ack", "soon", "never"],
        "When what replaces an object comes under its path at the sites: before the write is answered, by a job soon after it, or never; then it stays under a key of its own",
      ),
      "soon",
    ),
    consistency: withDefault(
      choice(
        ["strict", "close-to-open", "eventual"],
        "What a change waits for, where sessions have read what it changes (no client opens one yet): before it is made until all have let go of that, before it is answered until all know of it, or nothing",
      ),
      "close-to-open",
    ),
    priority: withDefault(count("Evaluation order (lower = first)", { min: -1_000_000, max: 1_000_000 }), 0),
  }),
);
