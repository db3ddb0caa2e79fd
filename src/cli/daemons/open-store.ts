import type { Clock } from "../../core/ports/clock.ts";
import type { Random } from "../../core/ports/random.ts";
import { createMemoryStore, linkSafety, openFileStore, type Store, type UploadBook } from "../../stores/index.ts";
import { checkConfig, serviceUrl } from "../../stores/drivers/azure/config.ts";
import { resolveEndpoint, type S3StoreConfig as BucketConfig } from "../../stores/drivers/s3/config.ts";
import type { AzureStoreConfig, GcsStoreConfig, S3StoreConfig, StoreConfig } from "../config/index.ts";

/** The one place that names the drivers. Those with large libraries are loaded when a site needs them. */
export interface OpenedStore {
  readonly store: Store;
  /** What a person calls the place; no secrets. */
  readonly label: string;
  /** Drivers whose capabilities depend on what is at the other end are asked to prove them. */
  readonly probe: boolean;
  /** A sentence for each thing that the operator should know. */
  readonly findings?: readonly string[];
  /** What it holds goes when the process ends, and nobody expects it back. */
  readonly isVolatile?: true;
}

export interface StoreDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly connectTimeoutMs: number;
  /** The site was used before: nothing is made at its place. */
  readonly existing?: boolean;
  /** Of a disk: how much of what was noted has not been flushed as files yet. */
  readonly onIntake?: (standing: { readonly records: number; readonly bytes: number }) => void;
  /** Which uploads in parts were begun there. */
  readonly uploads?: UploadBook;
}

export async function openStore(config: StoreConfig, deps: StoreDeps): Promise<OpenedStore> {
  switch (config.driver) {
    case "file":
      return {
        store: await openFileStore(
          {
            root: config.path,
            ...(config.followsLinks === false ? { followsLinks: false } : {}),
            ...(deps.existing === true ? { existing: true } : {}),
            ...(config.intakeBytes === undefined ? {} : { intakeBytes: config.intakeBytes }),
          },
          { clock: deps.clock, ...(deps.onIntake === undefined ? {} : { onIntake: deps.onIntake }) },
        ),
        label: labelOf(config),
        probe: false,
        findings: (await linkSafety()) === "look" ? [RACED_LINKS] : [],
      };
    case "memory":
      return {
        store: createMemoryStore(config.maxBytes === undefined ? {} : { maxBytes: config.maxBytes }, {
          clock: deps.clock,
        }),
        label: labelOf(config),
        probe: false,
        isVolatile: true,
      };
    case "s3":
    case "gcs":
      return await openBucket(config, deps);
    case "azure":
      return await openContainer(config, deps);
  }
}

const RACED_LINKS =
  "This system cannot open files without following links in one step; whoever may write to the site's directory might lead GlobalFS out of it.";

/**
 * Where a driver's requests will go, as the driver itself has it; of a bucket that is part of the host name, the host that it lies below. Throws
 * when a part of the configuration could make the host another one than it says.
 */
export function originOf(config: StoreConfig): string | undefined {
  switch (config.driver) {
    case "file":
    case "memory":
      return undefined;
    case "s3":
    case "gcs": {
      const { origin } = resolveEndpoint(bucketConfig(config), config.driver === "s3" ? config.region : undefined);
      return config.endpoint ?? origin;
    }
    case "azure":
      checkConfig(config);
      return serviceUrl(config);
  }
}

/** Where a site lies, as people see it, without anything secret. */
export function labelOf(config: StoreConfig): string {
  switch (config.driver) {
    case "file":
      return `file://${config.path}`;
    case "memory":
      return "memory://";
    case "s3":
    case "gcs": {
      const { bucket, prefix } = config;
      return `${config.driver === "gcs" ? "gs" : "s3"}://${bucket}${prefix === undefined ? "" : `/${prefix}`}`;
    }
    case "azure":
      return `azure://${config.account ?? ""}/${config.container}`;
  }
}

async function openBucket(config: S3StoreConfig | GcsStoreConfig, deps: StoreDeps): Promise<OpenedStore> {
  const { createS3Store } = await import("../../stores/drivers/s3/index.ts");
  const store = createS3Store({ ...bucketConfig(config), connectTimeoutMs: deps.connectTimeoutMs }, deps);
  return { store, label: labelOf(config), probe: true };
}

function bucketConfig(config: S3StoreConfig | GcsStoreConfig): BucketConfig {
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
  return {
    bucket,
    ...(config.driver === "s3" && config.region !== undefined ? { region: config.region } : {}),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(prefix === undefined ? {} : { prefix }),
    ...(credentials === undefined ? {} : { credentials }),
    ...(pathStyle === undefined ? {} : { pathStyle: pathStyle ? "path" : "virtual" }),
  };
}

async function openContainer(config: AzureStoreConfig, deps: StoreDeps): Promise<OpenedStore> {
  const { createAzureStore } = await import("../../stores/drivers/azure/index.ts");
  const { driver: _, ...rest } = config;
  return {
    store: await createAzureStore(rest, deps),
    label: labelOf(config),
    probe: true,
  };
}
