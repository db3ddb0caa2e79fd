import { beforeEach, describe, expect, it } from "vitest";
import { Semaphore } from "../../../core/async/semaphore.ts";
import { backgroundCtx, type Ctx } from "../../../core/context.ts";
import { GfsError } from "../../../core/errors.ts";
import { systemClock } from "../../../core/ports/clock.ts";
import { seededRandom } from "../../../core/ports/random.ts";
import { settle } from "../../../core/testing/fake-clock.ts";
import type { ObjectInfo, StageOptions, WriteAttributes } from "../../store.ts";
import { sha256Of } from "../../testing/scripted-store.ts";
import { type PartedEnding, type PartedTarget, PartedWrite, type PartLimits, type WholeBody } from "./parted-write.ts";

const INFO = { key: "k", sizeBytes: 0, etag: "e", modifiedMs: 0, metadata: {} } as ObjectInfo;
const away = (): GfsError => new GfsError("Unavailable", "The site is away.", { retry: "safe" });
const refused = (): GfsError => new GfsError("PermissionDenied", "Not you.", { retry: "never" });

/** A site that keeps what it is told, and fails or waits as a test says. */
class Target implements PartedTarget<string> {
  readonly parts = new Map<number, string>();
  readonly bodies: WholeBody[] = [];
  readonly endings: PartedEnding[] = [];
  readonly calls: string[] = [];
  /** The uploads that parts were sent to, and for which requests. */
  readonly askedAs = new Set<string>();
  discarded = 0;
  underWay = 0;
  mostUnderWay = 0;
  before: (call: string) => Promise<void> | void = () => undefined;

  checkAttributes({ metadata }: WriteAttributes): void {
    if (metadata?.["bad"] !== undefined) throw new GfsError("InvalidArgument", "It cannot be kept.");
  }
  async put(_ctx: Ctx, body: WholeBody): Promise<ObjectInfo> {
    this.bodies.push({ ...body, bytes: Buffer.from(body.bytes) });
    await this.#call("put");
    return INFO;
  }
  async begin(): Promise<string> {
    await this.#call("begin");
    return "upload";
  }
  async sendPart(
    ctx: Ctx,
    upload: string,
    { partNumber, bytes }: { readonly partNumber: number; readonly bytes: Uint8Array },
  ) {
    this.askedAs.add(`${upload} ${ctx.requestId}`);
    this.underWay += 1;
    this.mostUnderWay = Math.max(this.mostUnderWay, this.underWay);
    try {
      await this.#call(`part ${partNumber}`);
    } finally {
      this.underWay -= 1;
    }
    this.parts.set(partNumber, Buffer.from(bytes).toString());
    return { partNumber, sizeBytes: bytes.byteLength, etag: `e${partNumber}` };
  }
  async complete(_ctx: Ctx, _upload: string, ending: PartedEnding): Promise<ObjectInfo> {
    this.endings.push(ending);
    await this.#call("complete");
    return INFO;
  }
  async discard(): Promise<void> {
    this.discarded += 1;
  }
  async #call(name: string): Promise<void> {
    this.calls.push(name);
    await this.before(name);
  }
}

let target: Target;
let budget: Semaphore;
let stop: AbortController;
beforeEach(() => {
  target = new Target();
  budget = new Semaphore(1_000);
  stop = new AbortController();
});

function begin(options: StageOptions = {}, limits: Partial<PartLimits> = {}): PartedWrite<string> {
  return new PartedWrite(
    backgroundCtx({ signal: stop.signal, requestId: "test" }),
    target,
    {
      budget,
      partSizeBytes: 10,
      parallelParts: 3,
      maxPartBytes: 1_000,
      maxParts: 100,
      maxObjectBytes: 500,
      // Pauses between attempts take no time here.
      clock: { ...systemClock, sleep: async () => undefined },
      random: seededRandom(1),
      ...limits,
    },
    options,
  );
}

async function write(staged: PartedWrite<string>, ...pieces: readonly string[]): Promise<void> {
  for (const piece of pieces) await staged.write(Buffer.from(piece));
}

const TEXT = "0123456789abcdefghijABCDEFGHIJklm";
const ctx = backgroundCtx();

describe("a write that fits one part", () => {
  it.each(["", "0123", "0123456789"])("is one request with all that is known of it: %j", async (text) => {
    const staged = begin({ contentType: "text/plain", metadata: { a: "1", b: "1" } });
    await write(staged, text.slice(0, 3), text.slice(3));
    await staged.seal({ sha256: sha256Of(Buffer.from(text)), metadata: { b: "2" } });
    expect(target.calls).toEqual([]);
    expect(await staged.commit(ctx, { ifNoneMatch: "*", as: "other" })).toBe(INFO);
    expect(target.calls).toEqual(["put"]);
    expect(target.bodies).toEqual([
      {
        bytes: Buffer.from(text),
        sha256: sha256Of(Buffer.from(text)),
        attributes: { contentType: "text/plain", metadata: { a: "1", b: "2" } },
        as: "other",
        conditions: { ifNoneMatch: "*" },
        maybeWritten: false,
      },
    ]);
  });

  it("says of a later attempt whether an earlier one may have worked", async () => {
    const staged = begin();
    await write(staged, "x");
    await staged.seal();
    for (const error of [refused(), away(), refused()]) {
      target.before = () => {
        target.before = () => {
          throw refused();
        };
        throw error;
      };
      await expect(staged.commit(ctx)).rejects.toMatchObject({ code: "PermissionDenied" });
    }
    expect(target.bodies.map(({ maybeWritten }) => maybeWritten)).toEqual([false, false, true, true]);
    expect(target.bodies[0]?.attributes).toEqual({});
    target.before = () => undefined;
    await staged.commit(ctx);
    expect(target.bodies.at(-1)?.maybeWritten).toBe(true);
  });

  it("has all its bytes however many they are and in whatever pieces they come, also when it was not said how many", async () => {
    const bytes = Buffer.from(seededRandom(3).bytes(300_000));
    const sizes = [1, 65_535, 1, 100_000, 134_463];
    const staged = begin({}, { partSizeBytes: 2 ** 20, maxPartBytes: 2 ** 20, maxObjectBytes: 2 ** 20 });
    let at = 0;
    for (const size of sizes) await staged.write(bytes.subarray(at, (at += size)));
    await staged.seal();
    await staged.commit(ctx);
    expect([at, bytes.equals(target.bodies[0]?.bytes as Buffer)]).toEqual([300_000, true]);
  });

  it("is refused at its seal when its bytes are others, and when they are fewer than was said", async () => {
    const staged = begin();
    await write(staged, "bytes");
    await expect(staged.seal({ sha256: sha256Of(Buffer.from("byteX")) })).rejects.toMatchObject({
      code: "ChecksumMismatch",
    });
    const short = begin({ sizeBytes: 6 });
    await write(short, "bytes");
    await expect(short.seal()).rejects.toMatchObject({ code: "IncompleteBody" });
  });
});

describe("a write in parts", () => {
  it("sends full parts meanwhile and the rest at its seal, and completes them in order", async () => {
    const staged = begin({ metadata: { a: "1" } });
    await write(staged, TEXT.slice(0, 10));
    expect(target.calls).toEqual([]);
    await write(staged, TEXT.slice(10, 25), TEXT.slice(25));
    await staged.seal({ sha256: "of the caller", metadata: { b: "2" } });
    expect([...target.parts].toSorted(([one], [other]) => one - other)).toEqual([
      [1, "0123456789"],
      [2, "abcdefghij"],
      [3, "ABCDEFGHIJ"],
      [4, "klm"],
    ]);
    expect(target.calls.filter((call) => call === "begin")).toEqual(["begin"]);
    expect([...target.askedAs]).toEqual(["upload test"]);
    await staged.commit(ctx, { ifMatch: "e" });
    expect(target.endings).toEqual([
      {
        parts: [1, 2, 3, 4].map((partNumber) => ({
          partNumber,
          sizeBytes: partNumber === 4 ? 3 : 10,
          etag: `e${partNumber}`,
        })),
        attributes: { metadata: { a: "1", b: "2" } },
        sha256: "of the caller",
        conditions: { ifMatch: "e" },
      },
    ]);
    expect([budget.inUse, target.discarded]).toEqual([0, 0]);
    // Nothing that comes later undoes it.
    await staged.abort();
    expect(target.discarded).toBe(0);
  });

  it("has them in order although they arrive out of it", async () => {
    let open = (): void => undefined;
    const held = new Promise<void>((resolve) => (open = resolve));
    target.before = async (call) => {
      if (call === "part 1") await held;
    };
    const staged = begin();
    await write(staged, TEXT);
    await settle();
    open();
    await staged.seal();
    await staged.commit(ctx);
    expect(target.endings[0]?.parts.map(({ partNumber }) => partNumber)).toEqual([1, 2, 3, 4]);
  });

  it("cannot be given another key", async () => {
    const staged = begin();
    await write(staged, TEXT);
    await staged.seal();
    await expect(staged.commit(ctx, { as: "other" })).rejects.toMatchObject({ code: "Unsupported" });
    expect(target.endings).toEqual([]);
  });

  it("has so many parts under way at most, and as many as the budget of all writes allows beside the one being filled", async () => {
    let open = (): void => undefined;
    const held = new Promise<void>((resolve) => (open = resolve));
    target.before = async (call) => {
      if (call.startsWith("part")) await held;
    };
    const staged = begin({}, { parallelParts: 2 });
    const writing = write(staged, "x".repeat(95));
    await settle();
    expect([target.underWay, budget.inUse]).toEqual([2, 20]);
    const narrow = begin({}, { budget: new Semaphore(10), parallelParts: 9 });
    const narrowly = write(narrow, "x".repeat(95));
    await settle();
    expect(target.underWay).toBe(4);
    open();
    await Promise.all([writing, narrowly]);
    await Promise.all([staged.seal(), narrow.seal()]);
    expect([...target.parts.values()].join("").length).toBe(95);
    expect(budget.inUse).toBe(0);
  });

  it("has parts that are large enough for their number, in whole MiB, where the size is known", async () => {
    const MIB = 1024 ** 2;
    const sizeBytes = 2 * MIB + 1;
    const staged = begin(
      { sizeBytes },
      { maxParts: 2, maxObjectBytes: 9 * MIB, maxPartBytes: 9 * MIB, budget: new Semaphore(9 * MIB) },
    );
    await staged.write(Buffer.alloc(sizeBytes));
    await staged.seal();
    expect([...target.parts.values()].map((part) => part.length)).toEqual([2 * MIB, 1]);
  });

  it("has parts that double after each thousand, up to the largest, where the size is not known", async () => {
    const staged = begin({}, { partSizeBytes: 1, maxPartBytes: 3, maxParts: 10_000, maxObjectBytes: 10_000 });
    await staged.write(Buffer.alloc(1_000 + 2_000 + 7, "x"));
    await staged.seal();
    const sizes = [...target.parts].toSorted(([one], [other]) => one - other).map(([, part]) => part.length);
    expect([sizes[0], sizes[999], sizes[1_000], sizes[1_999], ...sizes.slice(2_000)]).toEqual([1, 1, 2, 2, 3, 3, 1]);
  });

  it("sends a part again that got no answer, and is over with one that is refused", async () => {
    let failures = 2;
    target.before = (call) => {
      if (call === "part 1" && failures-- > 0) throw away();
    };
    const staged = begin();
    await write(staged, TEXT);
    await staged.seal();
    expect(target.calls.filter((call) => call === "part 1").length).toBe(3);
    target.before = (call) => {
      if (call.startsWith("part")) throw refused();
    };
    const failing = begin();
    await write(failing, TEXT.slice(0, 11));
    await settle();
    await expect(write(failing, "more")).rejects.toMatchObject({ code: "PermissionDenied" });
    await expect(failing.seal()).rejects.toMatchObject({ code: "PermissionDenied" });
    await failing.abort();
    expect([target.discarded, budget.inUse]).toEqual([1, 0]);
  });

  it("is refused at its seal when its last part is", async () => {
    target.before = (call) => {
      if (call === "part 4") throw refused();
    };
    const staged = begin();
    await write(staged, TEXT);
    await expect(staged.seal()).rejects.toMatchObject({ code: "PermissionDenied" });
  });
});

describe("a write at its bounds", () => {
  it("takes as many bytes as a site keeps, or as was said, and no more", async () => {
    expect(() => begin({ sizeBytes: 501 })).toThrow(expect.objectContaining({ code: "TooLarge" }) as Error);
    const whole = begin({ sizeBytes: 500 });
    await write(whole, "x".repeat(500));
    await whole.seal();
    const open = begin();
    await write(open, "x".repeat(500));
    await expect(write(open, "x")).rejects.toMatchObject({ code: "TooLarge" });
    const announced = begin({ sizeBytes: 5 });
    await write(announced, "bytes");
    await expect(write(announced, "!")).rejects.toMatchObject({ code: "IncompleteBody" });
  });

  it("is refused for attributes that the site cannot keep, before anything is sent and when they come at the end", async () => {
    const unfit = { code: "InvalidArgument" };
    expect(() => begin({ metadata: { bad: "" } })).toThrow(expect.objectContaining(unfit) as Error);
    const staged = begin();
    await write(staged, "x");
    await expect(staged.seal({ metadata: { bad: "" } })).rejects.toMatchObject(unfit);
    await expect(staged.commit(ctx)).rejects.toMatchObject({ code: "Internal" });
  });

  it("goes through its steps in their order, each once", async () => {
    const internal = { code: "Internal" };
    const staged = begin();
    await expect(staged.commit(ctx)).rejects.toMatchObject(internal);
    await staged.seal();
    await expect(write(staged, "x")).rejects.toMatchObject(internal);
    await expect(staged.seal()).rejects.toMatchObject(internal);
    await staged.commit(ctx);
    await expect(staged.commit(ctx)).rejects.toMatchObject(internal);
    expect(target.calls).toEqual(["put"]);
  });
});

describe("a write that is given up", () => {
  it("leaves nothing at the site, and waits for what is under way, which would stay otherwise", async () => {
    let open = (): void => undefined;
    const held = new Promise<void>((resolve) => (open = resolve));
    target.before = async (call) => {
      if (call.startsWith("part")) await held;
    };
    const staged = begin();
    await write(staged, TEXT);
    await settle();
    const aborted = staged.abort();
    await settle();
    expect([target.underWay > 0, target.discarded]).toEqual([true, 0]);
    open();
    await aborted;
    expect([target.underWay, target.discarded, budget.inUse]).toEqual([0, 1, 0]);
    await staged.abort();
    expect(target.discarded).toBe(1);
    await expect(write(staged, "x")).rejects.toMatchObject({ code: "Internal" });
  });

  it("has nothing to take away where nothing was sent", async () => {
    const staged = begin();
    await write(staged, "x");
    await staged.seal();
    await staged.abort();
    expect([target.calls, target.discarded]).toEqual([[], 0]);
    await expect(staged.commit(ctx)).rejects.toMatchObject({ code: "Internal" });
  });

  it("stops its parts when its caller leaves, also when that was before it began", async () => {
    const signals: AbortSignal[] = [];
    const { sendPart } = target;
    target.sendPart = async (partCtx, upload, part) => {
      signals.push(partCtx.signal);
      return await sendPart.call(target, partCtx, upload, part);
    };
    const staged = begin();
    await write(staged, TEXT);
    await settle();
    stop.abort(new Error("The client left."));
    const late = begin();
    await write(late, TEXT);
    await settle();
    expect(signals.length).toBeGreaterThan(3);
    for (const signal of signals) expect((signal.reason as Error).message).toBe("The client left.");
  });
});
