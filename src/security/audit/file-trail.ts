import { chmod, mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { fromErrno, GfsError, toGfsError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { Logger } from "../../core/ports/log.ts";
import type { Metrics } from "../../core/ports/metrics.ts";
import { decodeLine, encodeLine, fieldsOf, fileName, hashOf, MAX_LINE_BYTES, trailFiles } from "./chain.ts";
import { boundKeyUses, boundRefusals } from "./floods.ts";
import { LinesFile, systemTrailDisk, type TrailDisk } from "./lines-file.ts";
import { queryTrail } from "./read-lines.ts";
import { findStanding, type Standing } from "./recover.ts";
import type { AuditedOutcome, AuditedRequest, AuditFields, AuditPage, AuditQuery, AuditTrail } from "./types.ts";

export interface FileTrail extends AuditTrail {
  /** A line that another process of ours made out. */
  append(fields: AuditFields): void;
  close(): void;
}

export interface FileTrailDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly disk?: TrailDisk;
}

export interface FileTrailOptions {
  /** Used by one process at a time; made when it is absent, for this user alone. */
  readonly directory: string;
  /** The oldest files are removed beyond it. */
  readonly maxBytes: number;
  /** While lines cannot be written: nothing is changed any more, or changes go on and a metric tells. */
  readonly onFailure: "refuse" | "continue";
}

const SYNC_MS = 1_000;
const RESERVE_EVERY_MS = 60_000;
const LARGEST_FILE_BYTES = 64 * 1024 * 1024;
const PATHS_A_LINE = 100;

/**
 * Appends a line to a file before the answer goes out, and has the file on the disk within a second. Writing is one system call into the page
 * cache, and is not waited for by anything else than the request it is about.
 */
export async function openAuditTrail(deps: FileTrailDeps, options: FileTrailOptions): Promise<FileTrail> {
  const { directory } = options;
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await chmod(directory, 0o700);
    const standing = await findStanding(directory);
    const trail = new Trail(deps, options, standing);
    await trail.begin(standing);
    return trail;
  } catch (error) {
    const { message } = fromErrno(error, "audit.open", { path: directory });
    throw new GfsError(
      "ConfigInvalid",
      `The audit trail in ${directory} cannot be opened: ${message} security.audit.enabled: false does without one.`,
      { cause: error },
    );
  }
}

class Trail implements FileTrail {
  readonly #deps: FileTrailDeps;
  readonly #options: FileTrailOptions;
  readonly #file: LinesFile;
  readonly #refusals: ReturnType<typeof boundRefusals>;
  readonly #uses: ReturnType<typeof boundKeyUses>;
  readonly #lines;
  readonly #unwritten;
  readonly #fileBytes: number;
  #seq: number;
  #head: string;
  #lost = 0;
  #failing = false;
  #reserveAtMs = Number.NEGATIVE_INFINITY;
  #stopTimer: () => void = () => undefined;
  #trimming = false;
  #trimAgain = false;
  #closed = false;

  constructor(deps: FileTrailDeps, options: FileTrailOptions, { file, seq, head }: Standing) {
    const { clock, metrics } = deps;
    this.#deps = deps;
    this.#options = options;
    this.#seq = seq;
    this.#head = head;
    this.#fileBytes = Math.min(LARGEST_FILE_BYTES, Math.ceil(options.maxBytes / 8));
    const place = file ?? { name: fileName(seq + 1), sizeBytes: 0 };
    this.#file = new LinesFile(options.directory, deps.disk ?? systemTrailDisk, place);
    this.#refusals = boundRefusals((fields) => this.append(fields), clock);
    this.#uses = boundKeyUses((fields) => this.append(fields), clock);
    this.#lines = metrics.counter({
      name: "globalfs_audit_lines_total",
      help: "Lines of the audit trail.",
      labels: ["kind"],
    });
    this.#unwritten = metrics.gauge({
      name: "globalfs_audit_unwritten_lines",
      help: "Lines of the audit trail that the disk has not taken.",
    });
  }

  async begin({ torn, unended }: Standing): Promise<void> {
    if (unended === true) this.#file.add(Buffer.from("\n"));
    if (torn !== undefined) {
      if (!torn.endsLine) this.#file.add(Buffer.from("\n"));
      this.append({ kind: "trail", what: "torn", bytes: torn.bytes, sha256: torn.sha256 });
    }
    this.append({ kind: "trail", what: "opened", pid: process.pid });
    await this.#file.keepReserve();
    await this.#trim();
    this.#tick();
  }

  assertWritable(): void {
    if (this.#file.waiting > 0) this.#drain();
    if (this.#file.waiting === 0 || this.#options.onFailure === "continue") return;
    throw new GfsError(
      "Unavailable",
      "The audit trail cannot be written, so that nothing may be changed; the coordinator's log says why. Make room for it, or set security.audit.on_failure to continue.",
      { op: "audit", retryAfterMs: 5_000 },
    );
  }

  changed(request: AuditedRequest, outcome: AuditedOutcome): void {
    const { paths = [] } = request;
    let begin = 0;
    do {
      const some = paths.length === 0 ? undefined : paths.slice(begin, begin + PATHS_A_LINE);
      this.append(fieldsOf("change", { request, paths: some, outcome }));
      begin += PATHS_A_LINE;
    } while (begin < paths.length);
  }

  refused(request: AuditedRequest, outcome: AuditedOutcome): void {
    this.#refusals.add(request, outcome);
  }

  used(...use: Parameters<AuditTrail["used"]>): void {
    this.#uses.add(...use);
  }

  append(fields: AuditFields): void {
    if (this.#lost > 0 && this.#file.waiting === 0) {
      const count = this.#lost;
      this.#lost = 0;
      this.#write({ kind: "trail", what: "lost", count });
    }
    this.#write(fields);
  }

  #write(fields: AuditFields): void {
    // Its descriptor may be that of another file by now.
    if (this.#closed) return;
    if (this.#file.sizeBytes >= this.#fileBytes && this.#file.waiting === 0) this.#rotate();
    const seq = this.#seq + 1;
    const line = encodeLine(fields, { seq, atMs: this.#deps.clock.nowMs(), prev: this.#head });
    if (line.byteLength > MAX_LINE_BYTES || !this.#file.add(line)) {
      this.#lost += 1;
    } else {
      this.#seq = seq;
      this.#head = hashOf(line.subarray(0, -1));
      this.#lines.add(1, { kind: fields.kind });
    }
    this.#tellFailure();
  }

  #rotate(): void {
    try {
      this.#file.next(fileName(this.#seq + 1));
      void this.#trim();
    } catch (error) {
      // It goes on in the file that it has.
      this.#deps.log.error("audit_not_rotated", { error: toGfsError(error).message });
    }
  }

  /** Removes the oldest files past the bound; each leaves a line that says which lines are gone. */
  async #trim(): Promise<void> {
    if (this.#trimming) {
      this.#trimAgain = true;
      return;
    }
    this.#trimming = true;
    try {
      do {
        this.#trimAgain = false;
        await this.#trimOnce();
      } while (this.#trimAgain);
    } catch (error) {
      this.#deps.log.error("audit_not_trimmed", { error: toGfsError(error).message });
    } finally {
      this.#trimming = false;
    }
  }

  async #trimOnce(): Promise<void> {
    const { directory, maxBytes } = this.#options;
    const files = trailFiles(await readdir(directory));
    const sizes = await Promise.all(files.map(async ({ name }) => (await stat(join(directory, name))).size));
    let total = sizes.reduce((sum, size) => sum + size, 0);
    for (const [index, { name, firstSeq }] of files.entries()) {
      const following = files[index + 1];
      if (total <= maxBytes || following === undefined || name === this.#file.name) return;
      const lastHash = await firstPrev(join(directory, following.name));
      if (lastHash === undefined || this.#closed) return;
      this.append({
        kind: "trail",
        what: "removed",
        first_seq: firstSeq,
        last_seq: following.firstSeq - 1,
        last_hash: lastHash,
      });
      await rm(join(directory, name));
      total -= sizes[index] as number;
    }
  }

  #drain(): void {
    this.#file.write();
    this.#tellFailure();
  }

  #tellFailure(): void {
    const { failure, waiting } = this.#file;
    const failing = waiting > 0;
    if (failing || this.#failing) this.#unwritten.set(waiting + this.#lost);
    if (failing === this.#failing) return;
    this.#failing = failing;
    if (!failing) this.#deps.log.info("audit_written_again");
    else
      this.#deps.log.error("audit_not_written", {
        directory: this.#options.directory,
        error: failure?.message,
        advice:
          this.#options.onFailure === "refuse"
            ? "Nothing is changed until it can be written; make room on its disk."
            : "Changes go on without their lines; make room on its disk.",
      });
  }

  #tick(): void {
    const { clock } = this.#deps;
    this.#stopTimer = clock.timer(SYNC_MS, () => {
      if (this.#file.waiting > 0) this.#drain();
      else if (clock.monotonicMs() - this.#reserveAtMs > RESERVE_EVERY_MS) {
        this.#reserveAtMs = clock.monotonicMs();
        void this.#file.keepReserve();
        void this.#trim();
      }
      this.#file.sync();
      this.#tick();
    });
  }

  async query(query: AuditQuery): Promise<AuditPage> {
    return await queryTrail(this.#options.directory, query);
  }

  close(): void {
    this.#stopTimer();
    this.#refusals.close();
    this.#uses.close();
    this.append({ kind: "trail", what: "closed" });
    this.#closed = true;
    this.#file.close();
  }
}

async function firstPrev(path: string): Promise<string | undefined> {
  const file = await open(path, "r");
  try {
    const bytes = Buffer.alloc(MAX_LINE_BYTES);
    const { bytesRead } = await file.read(bytes, 0, bytes.byteLength, 0);
    const end = bytes.subarray(0, bytesRead).indexOf(0x0a);
    return end === -1 ? undefined : decodeLine(bytes.subarray(0, end).toString())?.prev;
  } finally {
    await file.close();
  }
}
