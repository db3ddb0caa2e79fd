/** Block blobs of Azure Storage. */
import { type Clock, systemClock } from "../../../core/ports/clock.ts";
import { type Random, systemRandom } from "../../../core/ports/random.ts";
import type { Store } from "../../store.ts";
import { openContainer } from "./client.ts";
import { type AzureStoreConfig, checkConfig } from "./config.ts";
import { AzureStore } from "./store.ts";

export type { AzureStoreConfig } from "./config.ts";

export interface AzureStoreDeps {
  readonly clock?: Clock;
  readonly random?: Random;
  /** Blocks that large parts are cut into; they are never held in memory. */
  readonly streamedBlockBytes?: number;
}

/** Connects to nothing yet, but loads the SDK: `check` finds out whether the container can be reached. */
export async function createAzureStore(config: AzureStoreConfig, deps: AzureStoreDeps = {}): Promise<Store> {
  checkConfig(config);
  const container = await openContainer(config);
  return new AzureStore(container, config, {
    ...deps,
    clock: deps.clock ?? systemClock,
    random: deps.random ?? systemRandom,
  });
}
