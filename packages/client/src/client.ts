import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import {
  accessKeyOf,
  asRecord,
  auditPageOf,
  camelFields,
  copyResultOf,
  deletedOf,
  explanationOf,
  infoOf,
  jobOf,
  jobPageOf,
  leasePageOf,
  parseJson,
  sessionOf,
  siteOf,
} from "./decode.ts";
import { createFileCalls } from "./files.ts";
import { errorOfTransport, GlobalFsError } from "./errors.ts";
import { callOptions, createObjectCalls, keyPath } from "./objects.ts";
import type { LeasePage, SessionStatus } from "./session-types.ts";
import { watchChanges, type WatchOptions } from "./watch.ts";
import { type ClientOptions, createTransport, discard } from "./transport.ts";
import type {
  AccessKey,
  AddSite,
  AuditPage,
  AuditQuery,
  CallOptions,
  CopyResult,
  CreateAccessKey,
  DeletedKey,
  DirectoryUsage,
  Explanation,
  Health,
  ImportProgress,
  Info,
  Job,
  JobPage,
  JobQuery,
  NewAccessKey,
  Permissions,
  SiteStatus,
  Usage,
  QuotaLimits,
  WatchEvent,
} from "./types.ts";

const API = "/api/v1";

/** Kept with what is paused, for whoever wonders why. */
interface Reasoned {
  readonly reason?: string;
}

function bodyOf(reason: string | undefined): unknown {
  return reason === undefined ? undefined : { reason };
}

/** What took long has answered 200 before it failed. */
function resultOf(answer: unknown): unknown {
  const { error, code, request_id: requestId } = asRecord(answer);
  if (typeof error !== "string" || typeof code !== "string" || typeof requestId !== "string") return answer;
  throw new GlobalFsError(code, error, { requestId });
}

const KEYS_A_BATCH = 1_000;
/** A body of JSON has 256 KiB. */
const BATCH_BYTES = 200 * 1024;

function* batchesOf(keys: Iterable<string>): Generator<string[]> {
  let batch: string[] = [];
  let sizeBytes = 0;
  for (const key of keys) {
    const own = Buffer.byteLength(JSON.stringify(key)) + 1;
    if (batch.length === KEYS_A_BATCH || (batch.length > 0 && sizeBytes + own > BATCH_BYTES)) {
      yield batch;
      [batch, sizeBytes] = [[], 0];
    }
    batch.push(key);
    sizeBytes += own;
  }
  if (batch.length > 0) yield batch;
}

export type Client = ReturnType<typeof createClient>;

/** One client serves any number of calls at once; `close` it when you are done. */
export function createClient(options: ClientOptions = {}) {
  const transport = createTransport(options);

  const getJson = async (path: string, call: CallOptions, query: Record<string, string | number | undefined> = {}) =>
    parseJson((await transport.text({ method: "GET", path, query, expect: [200], ...callOptions(call) })).text);

  const send = async (method: "POST" | "DELETE", path: string, body: unknown, call: CallOptions): Promise<unknown> => {
    const { text } = await transport.text({
      method,
      path,
      ...(body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
      expect: [200, 201, 202, 204, 207],
      ...callOptions(call),
    });
    return text === "" ? undefined : resultOf(parseJson(text));
  };

  const sites = {
    async list(call: CallOptions = {}): Promise<SiteStatus[]> {
      return ((await getJson(`${API}/sites`, call)) as unknown[]).map(siteOf);
    },
    async add(site: AddSite, call: CallOptions = {}): Promise<SiteStatus> {
      const { name, role } = site;
      const place =
        "uri" in site
          ? { uri: site.uri }
          : { s3_bucket: site.s3Bucket, s3_region: site.s3Region, s3_endpoint: site.s3Endpoint };
      const adopt = site.adopt === true ? { adopt: true } : {};
      const foreign = site.foreign === undefined ? {} : { foreign: site.foreign };
      return siteOf(await send("POST", `${API}/sites`, { name, role, ...place, ...adopt, ...foreign }, call));
    },
    /** What answers at the site's address is the site from now on: another disk, a new bucket, or one that another catalog uses, too. */
    async adopt(name: string, call: CallOptions = {}): Promise<SiteStatus> {
      return siteOf(await send("POST", `${keyPath(`${API}/sites`, name)}/adopt`, undefined, call));
    },
    /** Refused where no primary would be left or objects have their only copy there, unless it is forced. */
    async remove(name: string, { force, ...call }: CallOptions & { readonly force?: boolean } = {}): Promise<void> {
      const query = force === true ? "?force=true" : "";
      await send("DELETE", `${keyPath(`${API}/sites`, name)}${query}`, undefined, call);
    },
    /** Adopts what the site holds already; yields progress until done. Stop iterating to stop. */
    async *import(
      name: string,
      request: { readonly prefix?: string; readonly after?: string } = {},
      call: CallOptions = {},
    ): AsyncGenerator<ImportProgress> {
      const { body } = await transport.open({
        method: "POST",
        path: `${keyPath(`${API}/sites`, name)}/import`,
        headers: { "content-type": "application/json" },
        body: JSON.stringify(request),
        expect: [200],
        ...callOptions(call),
      });
      try {
        for await (const line of createInterface({ input: body, crlfDelay: Infinity })) {
          if (line.trim() === "") continue;
          const progress = asRecord(parseJson(line));
          if (typeof progress["error"] === "string") {
            const { code, error } = progress;
            throw new GlobalFsError(typeof code === "string" ? code : "Internal", error);
          }
          yield camelFields(progress) as object as ImportProgress;
        }
      } catch (error) {
        throw errorOfTransport(error, transport.endpoint, call.signal);
      } finally {
        discard(body);
      }
    },
  };

  const keys = {
    /** Those that the caller administers, and its own, without their secrets. */
    async list(call: CallOptions = {}): Promise<AccessKey[]> {
      return ((await getJson(`${API}/keys`, call)) as unknown[]).map(accessKeyOf);
    },
    async create(request: CreateAccessKey, call: CallOptions = {}): Promise<NewAccessKey> {
      const { expiresInSeconds, ...rest } = request;
      const body = { ...rest, expires_in_seconds: expiresInSeconds };
      return accessKeyOf(await send("POST", `${API}/keys`, body, call)) as NewAccessKey;
    },
    /** `self` is the key that the client itself uses. */
    async get(id: string, call: CallOptions = {}): Promise<AccessKey> {
      return accessKeyOf(await getJson(keyPath(`${API}/keys`, id), call));
    },
    /** What a key may do with a path, and why. `action` is read, list, write, delete, admin or one of S3's; absent: those five. */
    async permissions(
      { id, path, action }: { readonly id: string; readonly path: string; readonly action?: string },
      call: CallOptions = {},
    ): Promise<Permissions> {
      return (await getJson(`${keyPath(`${API}/keys`, id)}/permissions`, call, { path, action })) as Permissions;
    },
    /** From now on nobody gets in with it. */
    async revoke(id: string, call: CallOptions = {}): Promise<void> {
      await send("DELETE", keyPath(`${API}/keys`, id), undefined, call);
    },
  };

  const actOnJob =
    (action: "pause" | "resume" | "cancel") =>
    async (id: string, { reason, ...call }: CallOptions & Reasoned = {}): Promise<Job> =>
      jobOf(await send("POST", `${keyPath(`${API}/jobs`, id)}/${action}`, bodyOf(reason), call));

  const jobs = {
    async list(query: CallOptions & JobQuery = {}): Promise<JobPage> {
      const { state, limit, continuation, order, counts } = query;
      const asked = { state, limit, continuation, order, ...(counts === true ? { counts: "true" } : {}) };
      return jobPageOf(await getJson(`${API}/jobs`, query, asked));
    },
    async get(id: string, call: CallOptions = {}): Promise<Job> {
      return jobOf(await getJson(keyPath(`${API}/jobs`, id), call));
    },
    pause: actOnJob("pause"),
    resume: actOnJob("resume"),
    cancel: actOnJob("cancel"),
    async pauseAll({ reason, ...call }: CallOptions & Reasoned = {}): Promise<void> {
      await send("POST", `${API}/jobs/pause`, bodyOf(reason), call);
    },
    async resumeAll(call: CallOptions = {}): Promise<void> {
      await send("POST", `${API}/jobs/resume`, undefined, call);
    },
    /**
     * Yields the job each time it was looked at, last when it is done, failed or canceled. A job that publishes leaves nothing behind when all went well, or newer content made
     * it needless: then it ends with the job as it was seen last.
     */
    async *watch(id: string, call: CallOptions & { readonly intervalMs?: number } = {}): AsyncGenerator<Job> {
      for (let seen: Job | undefined; ;) {
        let job: Job;
        try {
          job = await jobs.get(id, call);
        } catch (error) {
          if (seen?.kind === "publish" && error instanceof GlobalFsError && error.code === "NotFound") return;
          throw error;
        }
        seen = job;
        yield job;
        if (job.state === "done" || job.state === "failed" || job.state === "canceled") return;
        await sleep(call.intervalMs ?? 500, undefined, call.signal === undefined ? {} : { signal: call.signal });
      }
    },
  };

  return {
    endpoint: transport.endpoint,
    ...createObjectCalls(transport),
    files: createFileCalls(transport),
    sites,
    jobs,
    keys,

    async rename(
      request: { readonly from: string; readonly to: string; readonly overwrite?: boolean },
      call: CallOptions = {},
    ): Promise<void> {
      await send("POST", `${API}/rename`, request, call);
    },
    /** Within the namespace: no byte passes through here. Absent `overwrite`: refused where there is an object. */
    async copy(
      { from, to, overwrite }: { readonly from: string; readonly to: string; readonly overwrite?: boolean },
      call: CallOptions = {},
    ): Promise<CopyResult> {
      return copyResultOf(await send("POST", `${API}/copy`, { from, to, overwrite }, call));
    },
    /** Any number of objects, each with an outcome of its own, in the order of the keys. */
    async *deleteMany(keys: Iterable<string>, call: CallOptions = {}): AsyncGenerator<DeletedKey> {
      for (const batch of batchesOf(keys)) {
        const answer = asRecord(await send("POST", `${API}/delete`, { keys: batch }, call));
        for (const result of answer["results"] as unknown[]) yield deletedOf(result);
      }
    },
    async replicate(
      request: { readonly key: string; readonly from: string; readonly to: string },
      call: CallOptions = {},
    ): Promise<Job> {
      return jobOf(await send("POST", `${API}/replicate`, request, call));
    },
    async explain(key: string, call: CallOptions = {}): Promise<Explanation> {
      return explanationOf(await getJson(keyPath(`${API}/explain`, key), call));
    },
    async usage(prefix = "", call: CallOptions = {}): Promise<Usage> {
      return camelFields(await getJson(`${API}/usage`, call, { prefix })) as object as Usage;
    },
    quotas: {
      /** Without a walk; the empty path is the whole tree. */
      async show(path = "", call: CallOptions = {}): Promise<DirectoryUsage> {
        return camelFields(await getJson(`${API}/quota`, call, { path })) as object as DirectoryUsage;
      },
      /** In place of the one before. */
      async set(path: string, limits: QuotaLimits, call: CallOptions = {}): Promise<DirectoryUsage> {
        const body = { path, max_bytes: limits.maxBytes, max_inodes: limits.maxInodes };
        return camelFields(await send("POST", `${API}/quota`, body, call)) as object as DirectoryUsage;
      },
      async clear(path: string, call: CallOptions = {}): Promise<void> {
        await send("DELETE", `${API}/quota?${new URLSearchParams({ path }).toString()}`, undefined, call);
      },
    },
    sessions: {
      async list(call: CallOptions = {}): Promise<SessionStatus[]> {
        return ((await getJson(`${API}/sessions`, call)) as unknown[]).map(sessionOf);
      },
      /** It gets nothing any more, and is over when it cannot trust what it has any longer. */
      async evict(id: string, call: CallOptions = {}): Promise<void> {
        await send("DELETE", keyPath(`${API}/sessions`, id), undefined, call);
      },
    },
    /** What sessions cover, write to by lease and have locked, and who waits: of one path, or of all. */
    async leases(query: CallOptions & { readonly path?: string; readonly limit?: number } = {}): Promise<LeasePage> {
      const { path, limit } = query;
      return leasePageOf(await getJson(`${API}/leases`, query, { path, limit }));
    },
    /** Changes of the namespace as they come; survives broken connections and restarts of the coordinator. */
    watch: (watch: WatchOptions = {}): AsyncGenerator<WatchEvent> => watchChanges(transport, watch),
    /** The newest lines of the audit trail that fit. */
    async audit(query: CallOptions & AuditQuery = {}): Promise<AuditPage> {
      const { limit, after, before, user, path } = query;
      return auditPageOf(await getJson(`${API}/audit`, query, { limit, after, before, user, path }));
    },
    async info(call: CallOptions = {}): Promise<Info> {
      return infoOf(await getJson(`${API}/info`, call));
    },
    async health(call: CallOptions = {}): Promise<Health> {
      const answer = await transport.text({
        method: "GET",
        path: "/healthz",
        expect: [200, 503],
        ...callOptions(call),
      });
      const [, ...lines] = answer.text.split("\n").filter((line) => line.trim() !== "");
      if (answer.status === 503 && !answer.text.startsWith("DEGRADED")) {
        throw new GlobalFsError("Unavailable", "The coordinator cannot serve this now.", { status: 503 });
      }
      const problems = lines.map((line) => {
        const [site = "", ...error] = line.split(": ");
        return { site, error: error.join(": ") };
      });
      return { healthy: answer.status === 200, problems };
    },
    /** False until the coordinator has started. */
    async ready(call: CallOptions = {}): Promise<boolean> {
      const answer = await transport.text({ method: "GET", path: "/readyz", expect: [200, 503], ...callOptions(call) });
      return answer.status === 200;
    },
    /** In the Prometheus text format. */
    async metrics(call: CallOptions = {}): Promise<string> {
      return (await transport.text({ method: "GET", path: "/metrics", expect: [200], ...callOptions(call) })).text;
    },
    async openapi(call: CallOptions = {}): Promise<Record<string, unknown>> {
      return asRecord(await getJson(`${API}/openapi.json`, call));
    },
    /** Waits for what is under way. */
    close: () => transport.close(),
  };
}
