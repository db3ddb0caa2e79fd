import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "./tree.ts";

/** A person who knows one driver finds the way in the next one. */
const EVERYWHERE = ["config", "failures", "index", "listing", "multipart", "reading", "store", "writing"];
const OVER_A_NETWORK = ["azure", "s3"];

const drivers = join(ROOT, "src", "stores", "drivers");
const names = readdirSync(drivers).filter((name) => name !== "remote");

test.each(names)("the driver %s has the files that every driver has", (name) => {
  const files = readdirSync(join(drivers, name));
  const wanted = OVER_A_NETWORK.includes(name) ? [...EVERYWHERE, "client"] : EVERYWHERE;
  expect(wanted.filter((file) => !files.includes(`${file}.ts`))).toEqual([]);
});

test("what drivers share lies in a directory, not beside them", () => {
  expect(names.filter((name) => name.includes("."))).toEqual([]);
  expect(OVER_A_NETWORK.filter((name) => !names.includes(name))).toEqual([]);
});
