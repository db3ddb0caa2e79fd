import { createHash } from "node:crypto";
import { crc32c } from "@node-rs/crc32";
import { backgroundCtx } from "../../../src/core/context.ts";
import { isGfsError } from "../../../src/core/errors.ts";
import { type Random, seededRandom } from "../../../src/core/ports/random.ts";
import type { MultipartUpload, PartInfo, Store, WriteConditions } from "../../../src/stores/index.ts";

/** Runs operations against a store and knows, for each key, what may be there after any stop. */

export type Operation =
  | { readonly kind: "put" | "create"; readonly key: string; readonly sizeBytes: number }
  | { readonly kind: "delete"; readonly key: string }
  | { readonly kind: "copy"; readonly key: string; readonly from: string }
  /** As objects are published: many copies that share one flush, and then their sources go. */
  | { readonly kind: "publish"; readonly moves: readonly { readonly from: string; readonly key: string }[] }
  | {
      readonly kind: "multipart";
      readonly key: string;
      readonly parts: number;
      /** This part goes up twice, with other bytes. */
      readonly resent: number;
      /** Sizes of their own, numbers with gaps, the last part first. */
      readonly irregular?: boolean;
    };

interface Content {
  readonly bytes: Buffer;
  readonly contentType: string;
}

const ABSENT = "absent";
type Outcome = Content | typeof ABSENT;

interface OpenUpload {
  readonly upload: MultipartUpload;
  readonly contentType: string;
  /** By part number: bodies that may be there, and the one that must be unless another of them is. */
  readonly sent: Map<number, { bodies: Buffer[]; acknowledged: boolean }>;
  completing: boolean;
}

const PART_BYTES = 1_500;
const ctx = backgroundCtx();

export class StoreHistory {
  readonly #possible = new Map<string, Outcome[]>();
  readonly #uploads = new Set<OpenUpload>();
  readonly #random: Random;
  #sequence = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  #outcomes(key: string): Outcome[] {
    return this.#possible.get(key) ?? [ABSENT];
  }

  #body(sizeBytes: number): Buffer {
    return Buffer.from(seededRandom(this.#random.fraction() * 2 ** 32).bytes(sizeBytes));
  }

  #contentType(): string {
    this.#sequence += 1;
    return `text/x-${this.#sequence}`;
  }

  /** Rejects with what the store rejects; then old and new are both possible. */
  async run(store: Store, operation: Operation): Promise<void> {
    if (operation.kind === "publish") return await this.#publish(store, operation.moves);
    const { key } = operation;
    switch (operation.kind) {
      case "put": {
        const content = { bytes: this.#body(operation.sizeBytes), contentType: this.#contentType() };
        return await this.#attempt(key, [content], async () => await put(store, key, content));
      }
      case "create":
        return await this.#create(store, operation);
      case "delete":
        return await this.#attempt(key, [ABSENT], async () => await store.delete(ctx, key));
      case "copy":
        return await this.#copy(store, operation.from, key);
      case "multipart":
        return await this.#multipart(store, operation);
    }
  }

  async #attempt(key: string, outcomes: readonly Outcome[], work: () => Promise<unknown>): Promise<void> {
    this.#possible.set(key, [...this.#outcomes(key), ...outcomes]);
    await work();
    this.#possible.set(key, [...outcomes]);
  }

  /** Of what may be there the refusal, or the success, tells whether anything is. */
  async #create(store: Store, { key, sizeBytes }: Extract<Operation, { readonly sizeBytes: number }>): Promise<void> {
    const before = this.#outcomes(key);
    const content = { bytes: this.#body(sizeBytes), contentType: this.#contentType() };
    // Where something is for sure the new content is never there.
    if (before.includes(ABSENT)) this.#possible.set(key, [...before, content]);
    try {
      await put(store, key, content, { ifNoneMatch: "*" });
      if (!before.includes(ABSENT)) throw new Error(`${key} was made anew although it was there.`);
      this.#possible.set(key, [content]);
    } catch (error) {
      if (!isGfsError(error, "PreconditionFailed")) throw error;
      const there = before.filter((outcome) => outcome !== ABSENT);
      if (there.length === 0) throw new Error(`${key} was refused although nothing was there.`, { cause: error });
      this.#possible.set(key, there);
    }
  }

  async #copy(store: Store, from: string, to: string): Promise<void> {
    const source = this.#outcomes(from);
    const before = this.#outcomes(to);
    const copied = source.filter((outcome) => outcome !== ABSENT);
    try {
      await this.#attempt(to, copied, async () => await store.copy(ctx, from, to));
    } catch (error) {
      if (!isGfsError(error, "NotFound") || !source.includes(ABSENT)) throw error;
      this.#possible.set(to, before);
    }
  }

  async #publish(store: Store, moves: readonly { readonly from: string; readonly key: string }[]): Promise<void> {
    const copied = moves.filter(({ from }) => !this.#outcomes(from).includes(ABSENT));
    for (const { from, key } of copied) this.#possible.set(key, [...this.#outcomes(key), ...this.#outcomes(from)]);
    await all(copied, async ({ from, key }) => {
      await store.copy(ctx, from, key, { mayShare: true, durability: "visible" });
    });
    await all(copied, async ({ from, key }) => {
      await store.flush(ctx, key);
      this.#possible.set(key, this.#outcomes(from));
    });
    for (const { from } of copied) this.#possible.set(from, [...this.#outcomes(from), ABSENT]);
    await all(copied, async ({ from }) => await store.delete(ctx, from, { durability: "visible" }));
  }

  async #multipart(store: Store, operation: Operation & { kind: "multipart" }): Promise<void> {
    const { key, parts, resent, irregular } = operation;
    const contentType = this.#contentType();
    const options = irregular === true ? { contentType } : { partSizeBytes: PART_BYTES, contentType };
    const upload = await store.createMultipart(ctx, key, options);
    const open: OpenUpload = { upload, contentType, sent: new Map(), completing: false };
    this.#uploads.add(open);
    if (irregular === true) {
      for (let index = parts; index > 0; index--) await this.#send(store, open, index * 3, 600 + ((index * 431) % 900));
      if (resent <= parts) await this.#send(store, open, resent * 3, 1_234);
    } else {
      for (let number = 1; number <= parts; number++)
        await this.#send(store, open, number, number === parts ? 700 : PART_BYTES);
      if (resent <= parts) await this.#send(store, open, resent, resent === parts ? 700 : PART_BYTES);
    }
    await this.#complete(store, open);
  }

  async #send(store: Store, open: OpenUpload, number: number, sizeBytes: number): Promise<void> {
    const body = this.#body(sizeBytes);
    const entry = open.sent.get(number) ?? { bodies: [], acknowledged: false };
    open.sent.set(number, entry);
    entry.bodies.push(body);
    // While it goes up again, the part may be missing.
    entry.acknowledged = false;
    await store.uploadPart(ctx, open.upload, number, {
      sizeBytes: body.length,
      async *open() {
        yield body.subarray(0, 512);
        yield body.subarray(512);
      },
    });
    entry.bodies = [body];
    entry.acknowledged = true;
  }

  async #complete(store: Store, open: OpenUpload): Promise<void> {
    const listed = await store.listParts(ctx, open.upload);
    const bytes = Buffer.concat(listed.map((part) => bodyOf(open, part)));
    const { contentType, upload } = open;
    open.completing = true;
    await this.#attempt(upload.key, [{ bytes, contentType }], async () => {
      await store.completeMultipart(ctx, upload, listed);
    });
    this.#uploads.delete(open);
  }

  /** After a stop: goes on with the uploads that were under way, from what the store says of them. */
  async resumeUploads(store: Store): Promise<void> {
    for (const open of this.#uploads) {
      let listed: PartInfo[];
      try {
        listed = await store.listParts(ctx, open.upload);
      } catch (error) {
        if (!isGfsError(error, "NotFound") || !open.completing) throw error;
        this.#uploads.delete(open);
        continue;
      }
      for (const part of listed) bodyOf(open, part);
      const arrived = new Set(listed.map((part) => part.partNumber));
      for (const [number, { acknowledged }] of open.sent) {
        if (acknowledged && !arrived.has(number)) throw new Error(`Part ${number} was acknowledged and is lost.`);
      }
      const count = Math.max(...open.sent.keys(), 1);
      for (let number = 1; number <= count; number++) {
        if (!arrived.has(number) || number === 1)
          await this.#send(store, open, number, number === count ? 700 : PART_BYTES);
      }
      // What goes on in an upload must not show in any object.
      await this.#check(store);
      await this.#complete(store, open);
    }
  }

  /** After power loss: throws unless every key holds one of the things that it may hold; from then on it must. */
  async verify(store: Store): Promise<void> {
    for (const [key, found] of await this.#check(store)) this.#possible.set(key, [found]);
  }

  async #check(store: Store): Promise<Map<string, Outcome>> {
    const matches = new Map<string, Outcome>();
    const listed = new Map((await store.list(ctx, { limit: 1_000 })).objects.map((info) => [info.key, info]));
    for (const key of listed.keys()) {
      if (!this.#possible.has(key)) throw new Error(`The listing shows ${key}, which nobody wrote.`);
    }
    for (const [key, outcomes] of this.#possible) {
      const found = await read(store, key);
      if ((found === ABSENT) === listed.has(key)) throw new Error(`The listing and a read differ about ${key}.`);
      const match = outcomes.find((outcome) => isSame(outcome, found));
      if (match === undefined) throw new Error(`${key} is ${show(found)}; possible: ${outcomes.map(show).join(", ")}.`);
      matches.set(key, match);
    }
    return matches;
  }
}

/** Each comes to its end, also when another has failed. */
async function all<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const results = await Promise.allSettled(items.map(work));
  for (const result of results) if (result.status === "rejected") throw result.reason;
}

async function put(
  store: Store,
  key: string,
  { bytes, contentType }: Content,
  conditions?: WriteConditions,
): Promise<void> {
  const staged = await store.stage(ctx, key, { contentType });
  try {
    await staged.write(bytes);
    await staged.seal({ sha256: createHash("sha256").update(bytes).digest("hex") });
    await staged.commit(ctx, conditions);
  } catch (error) {
    await staged.abort();
    throw error;
  }
}

async function read(store: Store, key: string): Promise<Outcome> {
  try {
    const body = await store.get(ctx, key);
    const chunks: Uint8Array[] = [];
    for await (const chunk of body.stream) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    const { sha256 } = body.info;
    if (sha256 !== undefined && sha256 !== createHash("sha256").update(bytes).digest("hex"))
      throw new Error(`${key} does not have the checksum that is kept with it.`);
    return { bytes, contentType: body.info.contentType ?? "none" };
  } catch (error) {
    if (isGfsError(error, "NotFound")) return ABSENT;
    throw error;
  }
}

function bodyOf(open: OpenUpload, { partNumber, etag }: PartInfo): Buffer {
  const found = open.sent
    .get(partNumber)
    ?.bodies.find((body) => etag.startsWith(crc32c(body).toString(16).padStart(8, "0")));
  if (found === undefined) throw new Error(`Part ${partNumber} is listed with bytes that nobody sent.`);
  return found;
}

function isSame(one: Outcome, other: Outcome): boolean {
  if (one === ABSENT || other === ABSENT) return one === other;
  return one.contentType === other.contentType && one.bytes.equals(other.bytes);
}

function show(outcome: Outcome): string {
  if (outcome === ABSENT) return ABSENT;
  const digest = createHash("sha256").update(outcome.bytes).digest("hex").slice(0, 8);
  return `${outcome.bytes.length} bytes ${digest} ${outcome.contentType}`;
}
