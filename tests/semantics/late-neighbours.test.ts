import { expect } from "vitest";
import { bodyAt, putForeign, rigCtx } from "../../src/coordinator/testing/rig.ts";
import { createMemoryStore, type Store } from "../../src/stores/index.ts";
import { fixedKeys } from "../support/fixed-keys.ts";
import { everywhere } from "./matrix.ts";
import { keysOf } from "./setting.ts";
import { complete, sendPart } from "./upload-setting.ts";

const openStore = async (): Promise<Store> => fixedKeys(createMemoryStore());
const ROLES = { local: "primary", cloud: "burst" } as const;

everywhere(
  "W10 An upload in parts to a new key succeeds as the later write, whoever puts an object there before it is completed",
  async ({ start }) => {
    const setting = await start(ROLES, { openStore });
    const { coordinator, primaries, put, read, settled, sites } = setting;
    for (const [key, before] of [
      ["b/ours", async () => void (await put("b/ours", "before"))],
      ["b/theirs", async () => await putForeign(sites.local, "b/theirs", "before")],
      [
        "b/twice",
        async () => {
          await put("b/twice", "1");
          await put("b/twice", "2");
          await settled();
        },
      ],
      [
        "b/moved",
        async () => {
          await put("b/moved", "of another name");
          await coordinator.rename(rigCtx, { from: "b/moved", to: "b/elsewhere" });
        },
      ],
    ] as const) {
      const upload = await coordinator.createUpload(rigCtx, { key });
      const part = await sendPart(setting, upload, 1, Buffer.from(`parts of ${key}`));
      await before();
      await complete(setting, upload, [part]);
      expect(await read(key)).toBe(`parts of ${key}`);
      await settled();
      for (const name of primaries) expect(await bodyAt(sites[name], key)).toBe(`parts of ${key}`);
    }
    expect(await read("b/elsewhere")).toBe("of another name");
    for (const name of primaries) {
      const { objects } = await sites[name].list(rigCtx, { limit: 100 });
      expect(objects.map(({ key }) => key).filter((key) => key !== ".globalfs/site")).toEqual(await keysOf(setting));
    }
  },
);

everywhere("W10 So does a PUT that is too large to be given another key", async ({ start }) => {
  const setting = await start(ROLES, { openStore });
  const { coordinator, primaries, put, read, settled, sites } = setting;
  const body = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from("the later ");
    await put("x", "before");
    yield Buffer.from("write");
  };
  await coordinator.putObject(rigCtx, { key: "x", body: body() });
  expect(await read("x")).toBe("the later write");
  await settled();
  for (const name of primaries) expect(await bodyAt(sites[name], "x")).toBe("the later write");
});
