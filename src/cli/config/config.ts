import type { SiteName } from "../../core/ids.ts";
import type { Rule } from "../../placement/types.ts";
import type { StoredKey } from "../../security/index.ts";
import type { SiteRole } from "../../stores/site.ts";

/** The configuration as the program uses it: every value present, parsed and in the unit its name says. */
export interface Config {
  readonly global: {
    readonly clusterName: string;
    readonly logLevel: "debug" | "info" | "warn" | "error";
    /** Absent: stderr. */
    readonly logFile?: string;
    readonly logFormat: "auto" | "json" | "pretty";
    readonly metricsEnabled: boolean;
    /** 0: no listener of its own. */
    readonly metricsPort: number;
  };
  readonly coordinator: {
    /** For `parseListenAddress` of the security room, which knows what an absent host means. */
    readonly listenAddress: string;
    /** The same for probes. Absent: they ask where everybody asks. */
    readonly healthListenAddress?: string;
    /** Absent: clear text. */
    readonly tls?: TlsConfig;
    readonly hostNames: readonly string[];
    readonly maxConnections: number;
    readonly dataDirectory: string;
    readonly kv: { readonly engine: "lmdb" | "memory"; readonly mapSizeBytes: number };
    readonly leaseMs: number;
    /** Of the catalog, to the sites; every 0 ms: never. */
    readonly backup: { readonly everyMs: number; readonly keep: number; readonly sites: readonly string[] };
  };
  /** Absent: there is no S3 endpoint. */
  readonly s3?: S3Config;
  readonly sites: readonly SiteConfig[];
  readonly rules: readonly Rule[];
  readonly resilience: {
    readonly healthPollIntervalMs: number;
    readonly circuitBreaker: { readonly enabled: boolean; readonly threshold: number; readonly cooldownMs: number };
    readonly retry: {
      readonly enabled: boolean;
      readonly maxAttempts: number;
      readonly initialDelayMs: number;
      readonly maxDelayMs: number;
      readonly multiplier: number;
    };
    readonly timeout: { readonly connectMs: number; readonly requestMs: number; readonly idleMs: number };
  };
  readonly cache: { readonly enabled: boolean; readonly maxBytes: number; readonly ttlMs: number };
  readonly performance: {
    readonly maxConcurrentTransfers: number;
    readonly transferChunkBytes: number;
    readonly verify: "metadata" | "read";
    readonly bandwidth: readonly BandwidthLimit[];
  };
  readonly security: {
    readonly apiKeys: readonly StoredKey[];
    /** From `GLOBALFS_API_KEY`. */
    readonly environmentApiKey?: string;
    /** Nobody needs a key, on loopback. */
    readonly open: boolean;
    /** Clear text beyond this machine is meant. */
    readonly behindProxy: boolean;
    readonly audit: {
      readonly enabled: boolean;
      readonly maxBytes: number;
      readonly onFailure: "refuse" | "continue";
    };
    readonly allowedEndpoints: readonly string[];
    readonly allowedPaths: readonly string[];
  };
  readonly limits: {
    readonly maxObjectBytes: number;
    readonly maxConcurrentRequests: number;
    readonly maxQueuedJobs: number;
    readonly maxSetAsideBytes: number;
    readonly maxUnauthenticatedRequests: number;
    readonly maxBodyBytesInFlight: number;
    readonly headTimeoutMs: number;
    readonly bodyIdleTimeoutMs: number;
    readonly unauthenticatedBodyTimeoutMs: number;
    /** 0: any. */
    readonly minBytesPerSecond: number;
  };
}

export interface TlsConfig {
  readonly certFile: string;
  readonly keyFile: string;
  /** Who may issue certificates of clients. */
  readonly clientCaFile?: string;
}

export interface S3Config {
  /** As `coordinator.listenAddress`. */
  readonly listenAddress: string;
  readonly domains: readonly string[];
  readonly region: string;
  readonly rootBucket?: string;
  /** Absent: clear text. */
  readonly tls?: TlsConfig;
  readonly allowAnonymous: boolean;
  readonly signatureV2: boolean;
  readonly maxConnections: number;
  readonly workers: number;
  readonly lifecycleDayMs: number;
  readonly webhooks: readonly { readonly name: string; readonly url: string; readonly secret?: string }[];
}

export interface BandwidthLimit {
  /** A site's name or `*`. */
  readonly from: string;
  readonly to: string;
  readonly bytesPerSecond: number;
}

export interface SiteConfig {
  readonly name: SiteName;
  readonly role: SiteRole;
  readonly store: StoreConfig;
  readonly foreign: "merge" | "import" | "ignore";
  readonly listingStandsMs?: number;
  readonly network?: { readonly bandwidthBytesPerSecond?: number; readonly latencyMs?: number };
}

export type StoreConfig = FileStoreConfig | MemoryStoreConfig | S3StoreConfig | GcsStoreConfig | AzureStoreConfig;

export interface FileStoreConfig {
  readonly driver: "file";
  readonly path: string;
  /** False: the path was followed to its end already, and a link on the way is one that somebody has put there since. */
  readonly followsLinks?: false;
  /** Absent: as the driver has it. */
  readonly intakeBytes?: number;
}

export interface MemoryStoreConfig {
  readonly driver: "memory";
  readonly maxBytes?: number;
}

export interface S3StoreConfig {
  readonly driver: "s3";
  readonly bucket: string;
  readonly region?: string;
  readonly endpoint?: string;
  readonly prefix?: string;
  readonly pathStyle?: boolean;
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  readonly sessionToken?: string;
  readonly profile?: string;
  readonly anonymous: boolean;
}

export interface GcsStoreConfig {
  readonly driver: "gcs";
  readonly bucket: string;
  readonly endpoint: string;
  readonly prefix?: string;
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  readonly anonymous: boolean;
}

export interface AzureStoreConfig {
  readonly driver: "azure";
  readonly container: string;
  readonly account?: string;
  readonly accountKey?: string;
  readonly sas?: string;
  readonly connectionString?: string;
  readonly endpoint?: string;
  readonly prefix?: string;
}
