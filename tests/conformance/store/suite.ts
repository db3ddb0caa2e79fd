import { afterAll, beforeAll, describe, it } from "vitest";
import type { Store } from "../../../src/stores/index.ts";
import type { OpenedStore, Suite, SuiteOptions } from "./access.ts";
import { describeListings } from "./cases/listings.ts";
import { describeObjects } from "./cases/objects.ts";
import { describeParts } from "./cases/parts.ts";
import { describeReads } from "./cases/reads.ts";
import { describeOwnKeys } from "./cases/keys-of-their-own.ts";
import { describeWrites } from "./cases/writes.ts";

export { collect, type OpenedStore, putObject, readObject, type SuiteOptions } from "./access.ts";

/** The whole contract of `src/stores/store.ts`. A driver's test file opens a store and hands it over; its capabilities choose the cases. */
export function describeStore(name: string, open: () => Promise<OpenedStore>, options: SuiteOptions = {}): void {
  describe(`the store ${name}`, () => {
    let opened: OpenedStore;
    let store: Store;
    let serial = 0;

    beforeAll(async () => {
      opened = await open();
      store = options.wrap?.(opened.store) ?? opened.store;
    });
    afterAll(async () => {
      await opened?.close();
    });

    const suite: Suite = {
      options,
      get store() {
        return store;
      },
      fresh: () => `case${String(++serial).padStart(4, "0")}/`,
      test(title, work, timeoutMs) {
        const reason = Object.entries(options.except ?? {}).find(([part]) => title.includes(part))?.[1];
        // oxlint-disable-next-line vitest/no-conditional-tests, vitest/no-disabled-tests -- A driver that lacks something says why; the count shows it.
        if (reason !== undefined) it.skip(`${title} [not here: ${reason}]`, work);
        // oxlint-disable-next-line vitest/no-conditional-tests, vitest/valid-title -- The cases bring their titles.
        else it(title, work, timeoutMs);
      },
    };
    describeObjects(suite);
    describeReads(suite);
    describeWrites(suite);
    describeOwnKeys(suite);
    describeParts(suite);
    describeListings(suite);
  });
}
