import type { Clock } from "../../core/ports/clock.ts";
import type { Random } from "../../core/ports/random.ts";
import { createMemoryStore, openFileStore, type Store } from "../../stores/index.ts";
import type { AzureStoreConfig, GcsStoreConfig, S3StoreConfig, StoreConfig } from "../config/index.ts";

/** The one place that names the drivers. Those with large libraries are loaded when a site needs them. */
export interface OpenedStore {
  readonly store: Store;
  /** What a person calls the place; no secrets. */
  readonly label: string;
  /** Drivers whose capabilities depend on what is at the other end are asked to prove them. */
  readonly probe: boolean;
}

export interface StoreDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly connectTimeoutMs: number;
}

export async function openStore(config: StoreConfig, deps: StoreDeps): Promise<OpenedStore> {
  switch (config.driver) {
    case "file":
      return {
        store: await openFileStore({ root: config.path }, { clock: deps.clock }),
        label: `file://${config.path}`,
        probe: false,
      };
    case "memory":
      return {
        store: createMemoryStore(config.maxBytes === undefined ? {} : { maxBytes: config.maxBytes }, {
          clock: deps.clock,
        }),
        label: "memory://",
        probe: false,
      };
    case "s3":
    case "gcs":
      return await openBucket(config, deps);
    case "azure":
      return await openContainer(config, deps);
  }
}

async function openBucket(config: S3StoreConfig | GcsStoreConfig, deps: StoreDeps): Promise<OpenedStore> {
  const { createS3Store } = await import("../../stores/drivers/s3/index.ts");
  const { bucket, endpoint, prefix, accessKeyId, secretAccessKey } = config;
  const sessionToken = config.driver === "s3" ? config.sessionToken : undefined;
  const profile = config.driver === "s3" ? config.profile : undefined;
  const keys =
    accessKeyId === undefined || secretAccessKey === undefined
      ? undefined
      : { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
  const credentials = config.anonymous
    ? ("anonymous" as const)
    : (keys ?? (profile === undefined ? undefined : { profile }));
  const pathStyle = config.driver === "s3" ? config.pathStyle : undefined;
  const store = createS3Store(
    {
      bucket,
      connectTimeoutMs: deps.connectTimeoutMs,
      ...(config.driver === "s3" ? { region: config.region } : {}),
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(prefix === undefined ? {} : { prefix }),
      ...(credentials === undefined ? {} : { credentials }),
      ...(pathStyle === undefined ? {} : { pathStyle: pathStyle ? ("path" as const) : ("virtual" as const) }),
    },
    deps,
  );
  const scheme = config.driver === "gcs" ? "gs" : "s3";
  return { store, label: `${scheme}://${bucket}${prefix === undefined ? "" : `/${prefix}`}`, probe: true };
}

async function openContainer(config: AzureStoreConfig, deps: StoreDeps): Promise<OpenedStore> {
  const { createAzureStore } = await import("../../stores/drivers/azure/index.ts");
  const { driver: _, ...rest } = config;
  return {
    store: await createAzureStore(rest, deps),
    label: `azure://${config.account ?? ""}/${config.container}`,
    probe: true,
  };
}
