import { afterEach, describe, expect, it } from "vitest";
import { backgroundCtx } from "../core/context.ts";
import { GfsError } from "../core/errors.ts";
import { seededRandom } from "../core/ports/random.ts";
import type { FilePath } from "../core/ids.ts";
import type { Site, StoreCapabilities } from "../stores/index.ts";
import { putBytes } from "../stores/testing/scripted-store.ts";
import type { MoverConfig } from "./context.ts";
import { gate, MoverRig } from "./testing/rig.ts";

const LARGE = Buffer.from(seededRandom(9).bytes(10_500));

let rig: MoverRig;
afterEach(async () => await rig.mover.stop());

async function start(names: readonly string[] = ["local", "cloud"], config: Partial<MoverConfig> = {}): Promise<void> {
  rig = await new MoverRig(names, config).start();
}

function limitParts(site: string, multipart: StoreCapabilities["multipart"]): void {
  const before = rig.sites.get(site) as Site;
  const { multipart: _, ...rest } = before.store.capabilities;
  const capabilities = multipart === undefined ? rest : { ...rest, multipart };
  rig.sites.set(site, { ...before, store: { ...before.store, capabilities } });
}

const partSizes: number[] = [];
/** Of the parts that arrive at a site. */
function watchParts(site: string): void {
  partSizes.length = 0;
  const { uploadPart } = rig.store(site);
  rig.store(site).uploadPart = async (...args) => {
    partSizes.push(args[3].sizeBytes);
    return await uploadPart(...args);
  };
}

describe("the source of a transfer", () => {
  it("is another site when the first has an object of another size, which is not read at all", async () => {
    await start(["one", "two", "target"]);
    let canceled = 0;
    rig.store("one").script.body = (body) => ({
      ...body,
      info: { ...body.info, sizeBytes: 6 },
      stream: (async function* () {
        yield Buffer.from("not to be read");
        throw new Error("It was read.");
      })(),
      cancel: () => void (canceled += 1),
    });
    await rig.put("file", "bytes", { at: ["one", "two"], to: ["target"] });
    await rig.idle();
    expect([canceled, await rig.bodyAt("target", "file")]).toEqual([1, "bytes"]);
  });

  it("that holds another object than was written there is not read either", async () => {
    await start(["one", "two", "target"]);
    await rig.mover.pauseAll(true);
    await rig.put("file", "bytes", { at: ["one", "two"], to: ["target"] });
    await putBytes(rig.store("one"), "file", "other");
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect(["one", "two"].map((site) => rig.store(site).count("get"))).toEqual([1, 1]);
    expect(await rig.bodyAt("target", "file")).toBe("bytes");
  });

  it("that ends early is found out where no checksum is known, too", async () => {
    await start();
    rig.store("local").script.body = (body) => {
      rig.store("local").script = {};
      return {
        ...body,
        stream: (async function* () {
          yield Buffer.from("byt");
        })(),
      };
    };
    await rig.put("file", "bytes", { withoutChecksum: true });
    await rig.idle();
    expect(await rig.job({ path: "file" as FilePath })).toMatchObject({
      state: "waiting",
      reason: "Site local ended the object early.",
    });
    await rig.clock.advance(5_000);
    await rig.idle();
    expect(await rig.bodyAt("cloud", "file")).toBe("bytes");
  });

  it("is checked by the store itself where the catalog has no checksum of the bytes", async () => {
    await start();
    const asked: (boolean | undefined)[] = [];
    const { get } = rig.store("local");
    rig.store("local").get = async (...args) => {
      asked.push(args[2]?.checkedByCaller);
      return await get(...args);
    };
    await rig.put("proven", "bytes");
    await rig.idle();
    await rig.put("unproven", "bytes", { withoutChecksum: true });
    await rig.idle();
    expect(asked).toEqual([true, false]);
  });
});

describe("an object that goes in one piece", () => {
  it("is one that is no larger than a chunk", async () => {
    await start();
    await rig.put("chunk", LARGE.subarray(0, 1_000));
    await rig.put("more", LARGE.subarray(0, 1_001));
    await rig.idle();
    const keysOf = (operation: string): (string | undefined)[] =>
      rig
        .store("cloud")
        .calls.filter((call) => call.operation === operation)
        .map(({ key }) => key);
    expect([keysOf("stage"), keysOf("createMultipart")]).toEqual([["chunk"], ["more"]]);
  });

  it("is every one at a site that takes no parts", async () => {
    await start();
    limitParts("cloud", undefined);
    await rig.put("large", LARGE);
    await rig.idle();
    expect([rig.store("cloud").count("createMultipart"), await rig.bodyAt("cloud", "large")]).toEqual([
      0,
      LARGE.toString(),
    ]);
  });

  it.each(["seal", "commit"])("leaves nothing behind when the target fails at the %s", async (moment) => {
    await start();
    rig.store("cloud").script.before = ({ operation }) => {
      if (operation === moment) throw new GfsError("Unavailable", "The site is away.");
      // What cannot be cleaned up is not what went wrong.
      if (operation === "abort") throw new GfsError("Internal", "The site stumbled.");
    };
    await rig.put("file", "bytes");
    await rig.idle();
    expect(rig.store("cloud").count("abort")).toBe(1);
    expect(await rig.job({ path: "file" as FilePath })).toMatchObject({ reason: "The site is away." });
  });
});

describe("parts", () => {
  it("are as large as a chunk, and larger where the site wants larger or fewer of them", async () => {
    const sizesWith = async (multipart: NonNullable<StoreCapabilities["multipart"]>): Promise<number[]> => {
      await start();
      watchParts("cloud");
      limitParts("cloud", multipart);
      await rig.put("large", LARGE);
      await rig.idle();
      expect(await rig.bodyAt("cloud", "large")).toBe(LARGE.toString());
      await rig.mover.stop();
      return [...partSizes].sort((one, other) => other - one);
    };
    const maxPartBytes = 100_000;
    expect(await sizesWith({ minPartBytes: 1, maxPartBytes, maxParts: 100 })).toEqual([
      ...Array.from({ length: 10 }, () => 1_000),
      500,
    ]);
    expect(await sizesWith({ minPartBytes: 4_000, maxPartBytes, maxParts: 100 })).toEqual([4_000, 4_000, 2_500]);
    expect(await sizesWith({ minPartBytes: 1, maxPartBytes, maxParts: 4 })).toEqual([2_625, 2_625, 2_625, 2_625]);
  });

  it("have their bytes in order, however those come", async () => {
    await start();
    let at = 0;
    const sizes = [1, 700, 999, 2_500, 300, 6_000];
    rig.store("local").script.body = (body) => ({
      ...body,
      stream: (async function* () {
        for (const size of sizes) yield LARGE.subarray(at, (at += size));
      })(),
    });
    watchParts("cloud");
    await rig.put("large", LARGE);
    await rig.idle();
    expect([await rig.bodyAt("cloud", "large"), partSizes.length]).toEqual([LARGE.toString(), 11]);
    expect(new Set(partSizes)).toEqual(new Set([1_000, 500]));
  });

  it("go up four at a time, and no more", async () => {
    await start();
    const { passed, open } = gate();
    let under = 0;
    let most = 0;
    rig.store("cloud").script = {
      async before({ operation }) {
        if (operation !== "uploadPart") return;
        most = Math.max(most, ++under);
        await passed;
      },
      after({ operation }) {
        if (operation === "uploadPart") under -= 1;
      },
    };
    await rig.put("large", LARGE);
    await rig.until(() => under === 4);
    open();
    await rig.idle();
    expect([most, await rig.bodyAt("cloud", "large")]).toEqual([4, LARGE.toString()]);
  });

  it("of a transfer that the target refuses for good are thrown away, and those that may still be used are kept", async () => {
    for (const [code, aborted] of [
      ["InvalidArgument", 1],
      ["Overloaded", 0],
    ] as const) {
      await start();
      let once = true;
      rig.store("cloud").script.before = ({ operation }) => {
        if (operation !== "completeMultipart" || !once) return;
        once = false;
        throw new GfsError(code, "Not so.");
      };
      await rig.put("large", LARGE);
      await rig.idle();
      expect([rig.store("cloud").count("abortMultipart"), (await rig.job({}))?.reason]).toEqual([aborted, "Not so."]);
      await rig.clock.advance(60_000);
      await rig.idle();
      expect([rig.store("cloud").count("createMultipart"), await rig.bodyAt("cloud", "large")]).toEqual([
        1 + aborted,
        LARGE.toString(),
      ]);
      await rig.mover.stop();
    }
  });

  it("that arrived in another size than is to be sent are sent again", async () => {
    await start();
    let sent = 0;
    rig.store("cloud").script.before = ({ operation }) => {
      if (operation === "uploadPart" && ++sent > 3) throw new GfsError("Unavailable", "The site is away.");
    };
    await rig.put("large", LARGE);
    await rig.idle();
    const job = await rig.job({ path: "large" as FilePath });
    expect(job?.upload).toMatchObject({ partSizeBytes: 1_000 });
    rig.store("cloud").script = {};
    const upload = { key: "large", uploadId: job?.upload?.uploadId as string };
    const body = Buffer.from("of another transfer");
    await rig.store("cloud").uploadPart(backgroundCtx(), upload, 2, {
      sizeBytes: body.length,
      async *open() {
        yield body;
      },
    });
    await rig.clock.advance(60_000);
    await rig.idle();
    expect(await rig.bodyAt("cloud", "large")).toBe(LARGE.toString());
  });

  it("wait for the site when it does not say which of them have arrived", async () => {
    await start();
    let sent = 0;
    rig.store("cloud").script.before = ({ operation }) => {
      if (operation === "listParts" || (operation === "uploadPart" && ++sent > 3))
        throw new GfsError("Unavailable", "The site is away.");
    };
    await rig.put("large", LARGE);
    await rig.clock.advance(60_000);
    expect([rig.store("cloud").count("createMultipart"), (await rig.job({}))?.state]).toEqual([1, "waiting"]);
    rig.store("cloud").script = {};
    await rig.clock.advance(60_000);
    await rig.idle();
    expect(await rig.bodyAt("cloud", "large")).toBe(LARGE.toString());
  });

  it("are begun anew when the site has forgotten their upload", async () => {
    await start();
    let sent = 0;
    rig.store("cloud").script.before = ({ operation }) => {
      if (operation === "uploadPart" && ++sent > 3) throw new GfsError("Unavailable", "The site is away.");
    };
    await rig.put("large", LARGE);
    await rig.idle();
    rig.store("cloud").script.before = ({ operation }) => {
      if (operation === "listParts") throw new GfsError("NotFound", "There is no such upload.");
    };
    await rig.clock.advance(60_000);
    await rig.idle();
    expect([rig.store("cloud").count("createMultipart"), await rig.bodyAt("cloud", "large")]).toEqual([
      2,
      LARGE.toString(),
    ]);
  });
});
