import {
  anyText,
  choice,
  count,
  decimal,
  duration,
  flag,
  items,
  optional,
  presentSection,
  section,
  size,
  text,
  texts,
  withDefault,
} from "../../core/config/fields.ts";
import { s3 } from "./s3-schema.ts";
import { bandwidth, rules, sites } from "./sites-schema.ts";

const ACCESS_ROLES = ["reader", "writer", "admin", "user"] as const;
const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

/** The whole configuration file: names, types, defaults and help. Everything else about it is derived from this. */
export const configSchema = section("The configuration file", {
  global: presentSection("", {
    cluster_name: withDefault(text("Human-readable cluster identifier"), "globalfs-cluster"),
    log_level: withDefault(choice(["DEBUG", "INFO", "WARN", "ERROR"], "Log verbosity"), "INFO"),
    log_file: withDefault(anyText("Path to log file; empty = stderr"), "", "(stderr)"),
    log_format: withDefault(
      choice(["auto", "json", "pretty"], "`auto`: pretty on a terminal, JSON lines otherwise"),
      "auto",
    ),
    metrics_enabled: withDefault(flag("Enable Prometheus metrics on `/metrics`"), true),
    metrics_port: withDefault(
      count("Port of a second listener with nothing but `/metrics`; 0 = none", { min: 0, max: 65_535 }),
      9090,
    ),
  }),
  coordinator: presentSection("", {
    listen_addr: withDefault(
      text(
        "HTTP server bind address. Without a host it is loopback, or every interface once there are API keys, and TLS or a proxy that does it",
      ),
      ":8090",
    ),
    health_listen_addr: optional(
      text(
        "A second address, for probes alone: `/livez` and `/readyz` are answered there by a thread of its own, at once, however busy the coordinator is. In clear text and without a key; absent = none",
      ),
    ),
    tls: optional(
      section("HTTPS instead of HTTP, also for the listener of the metrics. The files are read anew on SIGHUP.", {
        cert_file: text("The certificate and those that lead to its issuer, in PEM"),
        key_file: text("Its private key, in PEM"),
        client_ca_file: optional(
          text(
            "Who may issue certificates of clients, in PEM. A client that shows one needs no key where `security.api_keys` has one of its names",
          ),
        ),
      }),
    ),
    max_connections: withDefault(
      count(
        "Connections to the API that may be open at once; one more takes the place of one on which nobody has proved who it is, or is closed",
        { min: 1, max: 1_000_000 },
      ),
      10_000,
    ),
    host_names: withDefault(
      texts(
        "Further names by which the API is reached, such as that of a proxy in front of it. Listening on loopback it answers to local names and to these; elsewhere to any, or, once some are listed, to these and local ones. The S3 endpoint on loopback asks for one of them, or of `s3.domains`, where a request is not signed",
      ),
      [],
    ),
    data_dir: withDefault(text("Directory of the catalog; created when it is absent"), ".globalfs"),
    kv: presentSection("The store of the catalog.", {
      engine: withDefault(
        choice(["lmdb", "memory"], "`lmdb` is durable; `memory` forgets everything at exit, for trials"),
        "lmdb",
      ),
      map_size: withDefault(
        size("The catalog can grow to this size; address space, not memory", {
          minBytes: 16 * MIB,
          maxBytes: 1024 * GIB * 16,
        }),
        64 * GIB,
      ),
    }),
    backup: presentSection(
      "The catalog is backed up to the sites, so that the loss of its disk loses no more than what came since; `globalfs meta rebuild` makes it again.",
      {
        every: withDefault(
          duration("How often; `0` = never. A catalog in memory is not backed up"),
          6 * 3_600_000,
          "6h",
        ),
        keep: withDefault(count("So many stay at each site, the newest", { min: 1, max: 10_000 }), 8),
        sites: withDefault(texts("Names of the sites that have them; none: all primaries"), []),
      },
    ),
    etcd_endpoints: withDefault(texts("etcd cluster endpoints (reserved for future use)", { reserved: true }), [
      "localhost:2379",
    ]),
    lease_timeout: withDefault(
      duration("Distributed lease TTL: how long a leader that died keeps its seat", { minMs: 1_000 }),
      60_000,
    ),
    health_check_interval: withDefault(
      duration("Per-site health check interval, where `resilience.health_poll_interval` is not set", {
        minMs: 100,
      }),
      30_000,
    ),
  }),
  s3,
  sites,
  policy: presentSection("Which sites serve which keys.", { rules }),
  resilience: presentSection("", {
    health_poll_interval: optional(
      duration("Background health check cadence; default: `coordinator.health_check_interval`, which is 30s", {
        minMs: 100,
      }),
    ),
    circuit_breaker: presentSection("Stops asking a site that keeps failing.", {
      enabled: withDefault(flag("Activate circuit breaking"), false),
      threshold: withDefault(count("Consecutive failures before circuit opens", { min: 1, max: 1_000_000 }), 5),
      cooldown: withDefault(duration("Time before a probe is allowed after opening", { minMs: 1 }), 30_000),
    }),
    retry: presentSection("Applies only to reads (Get, Head). Writes are fail-fast.", {
      enabled: withDefault(flag("Activate per-site retry"), false),
      max_attempts: withDefault(count("Total attempts per site (1 = no retry)", { min: 1, max: 100 }), 3),
      initial_delay: withDefault(duration("Pause before first retry"), 100),
      max_delay: withDefault(duration("Cap on inter-retry pause"), 2_000),
      multiplier: withDefault(decimal("Exponential back-off scale factor", { min: 1, max: 100 }), 2),
    }),
    timeout: presentSection("How long a site may take before the next one is tried.", {
      connect: withDefault(duration("To open a connection", { minMs: 1 }), 5_000),
      request: withDefault(duration("To answer a request, without its body", { minMs: 1 }), 30_000),
      idle: withDefault(duration("Between two pieces of a body", { minMs: 1 }), 60_000),
    }),
  }),
  cache: presentSection("Objects in memory, read-through.", {
    enabled: withDefault(flag("Activate in-memory LRU object cache"), false),
    max_bytes: withDefault(size("Maximum cache size in bytes", { minBytes: 1 }), 64 * MIB, "67108864 (64 MiB)"),
    ttl: withDefault(duration("Entry TTL; `0` = entries never expire"), 0),
  }),
  performance: presentSection("", {
    max_concurrent_transfers: withDefault(count("Maximum parallel replication jobs", { min: 1, max: 1_024 }), 8),
    transfer_chunk_size: withDefault(
      size("Transfer chunk size in bytes", { minBytes: 5 * MIB, maxBytes: GIB }),
      16 * MIB,
      "16777216 (16 MiB)",
    ),
    verify: withDefault(
      choice(
        ["metadata", "read"],
        "How a finished copy is checked: by what the site says of it, or by reading it back",
      ),
      "metadata",
    ),
    bandwidth,
    cache_size: withDefault(size("Passed to ObjectFS (informational)", { reserved: true }), 1e9, "1GB"),
  }),
  security: presentSection("", {
    api_keys: items(
      "Who may use the API. `GLOBALFS_API_KEY` in the daemon's environment adds one more key.",
      section("A key", {
        name: text("Who holds the key; shown in the log"),
        hash: optional(
          text("`sha256:` and the hex SHA-256 of the key", {
            secret: true,
            pattern: /^sha256:[0-9a-f]{64}$/,
            expected: "`sha256:` and 64 lower-case hex digits; `globalfs key hash` makes it",
          }),
        ),
        certificate: optional(
          text(
            "Instead of a key: a name in a client's certificate that `coordinator.tls.client_ca_file` has issued: of its alternative names a URI, DNS or email one, or the common name (CN)",
          ),
        ),
        grants: items(
          "What the key may do, as keys of `globalfs key create` have it. Without any it is admin of everything.",
          section("A grant", {
            path: anyText("Whole components of a path, such as `data/reports`; empty is everything"),
            role: choice(ACCESS_ROLES, "What it may do there"),
          }),
        ),
        expires: optional(
          text("From when on it opens nothing any more, such as `2030-01-31T00:00:00Z`", {
            pattern: /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\dZ$/,
            expected: "a time in UTC, such as 2030-01-31T00:00:00Z",
          }),
        ),
      }),
    ),
    behind_proxy: withDefault(
      flag(
        "A proxy in front does TLS: the API, the S3 endpoint and the metrics may listen beyond this machine in clear text",
      ),
      false,
    ),
    open: withDefault(
      flag(
        "Nobody needs a key: every user of this machine may read, change and delete everything. Only on loopback, and only where there are no keys",
      ),
      false,
    ),
    audit: presentSection(
      "The trail of who changed, was refused or used what, in `audit/` of `coordinator.data_dir`.",
      {
        enabled: withDefault(flag("Keep it; there is none where `coordinator.kv.engine` is `memory`"), true),
        max_size: withDefault(
          size("Its oldest files are removed beyond this", { minBytes: 8 * MIB, maxBytes: 1024 * GIB }),
          GIB,
        ),
        on_failure: withDefault(
          choice(
            ["refuse", "continue"],
            "While it cannot be written: nothing may be changed, or changes go on and a metric tells",
          ),
          "refuse",
        ),
      },
    ),
    allowed_endpoints: withDefault(
      texts(
        "Hosts that sites added at run time may name in `endpoint`, such as `minio.lab:9000` or `*.example.org`; the public clouds are always allowed, private addresses only when listed",
      ),
      [],
    ),
    allowed_paths: withDefault(
      texts("Directories under which sites added at run time may lie (`file:///...`); none by default"),
      [],
    ),
  }),
  limits: presentSection("", {
    max_object_bytes: withDefault(size("Largest object that can be stored", { minBytes: 1 }), 5 * 1024 * GIB, "5TiB"),
    max_concurrent_requests: withDefault(
      count("Requests served at once; further ones get 503 and Retry-After", { min: 1, max: 1_000_000 }),
      1_024,
    ),
    max_queued_jobs: withDefault(
      count("Jobs that may wait; past it writes answer 202 with the sites that are pending", {
        min: 1,
        max: 100_000_000,
      }),
      1_000_000,
    ),
    max_set_aside_bytes: withDefault(
      size(
        "At each site so many bytes are kept at most, for 30 days, of objects that lost against another of their path; the oldest go first, and `0` keeps none",
      ),
      10 * GIB,
      "10GiB",
    ),
    max_unauthenticated_requests: withDefault(
      count(
        "Requests served at once, beside those, of S3 clients that do not sign or have not proved yet who they are, such as forms of which only the beginning has come",
        { min: 1, max: 1_000_000 },
      ),
      128,
    ),
    max_body_bytes_in_flight: withDefault(
      size(
        "How much of request bodies is read at once, over all of them; each counts with its size, and with 1 MiB at most. Further ones wait for their turn, first come, first served",
        { minBytes: MIB },
      ),
      64 * MIB,
      "64MiB",
    ),
    head_timeout: withDefault(
      duration(
        "Within which a request's head has to come, the fields of a form up to its file, and a body of JSON as a whole",
        { minMs: 100 },
      ),
      30_000,
    ),
    body_idle_timeout: withDefault(
      duration("A request body that brings nothing for this long is cut, and an answer of which nothing is taken", {
        minMs: 100,
      }),
      60_000,
    ),
    unauthenticated_body_timeout: withDefault(
      duration("Within which the body of a client that does not sign has to come as a whole", { minMs: 100 }),
      600_000,
    ),
    min_rate: withDefault(
      size(
        "Bytes a second that clients send or take at least, on average over the time that they keep us waiting; slower ones are cut off once that is longer than `body_idle_timeout`. 0 = any",
        { minBytes: 0 },
      ),
      1_024,
      "1KiB",
    ),
  }),
});
