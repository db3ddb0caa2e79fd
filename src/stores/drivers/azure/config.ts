import { GfsError } from "../../../core/errors.ts";

export interface AzureStoreConfig {
  readonly container: string;
  /** The storage account; may be left out beside an endpoint or a connection string. */
  readonly account?: string;
  /** Default: the account's own at `blob.core.windows.net`. */
  readonly endpoint?: string;
  /** One of the three; without any, the identity of the environment: workload, managed, or of the Azure CLI. */
  readonly accountKey?: string;
  readonly sas?: string;
  readonly connectionString?: string;
  /** All keys lie below this one; callers do not see it. */
  readonly prefix?: string;
  /** What larger objects are cut into. Default: 8 MiB. */
  readonly partSizeBytes?: number;
  /** How many parts of one write are under way at once. Default: 8. */
  readonly parallelParts?: number;
  /** What all writes together may buffer beyond one part each. Default: 128 MiB. */
  readonly uploadBufferBytes?: number;
}

export const MIB = 1024 * 1024;
export const MAX_BLOCK_BYTES = 4_000 * MIB;
/** As S3 has it: what a client sends as one part may be several blocks. */
export const MAX_PART_BYTES = 5 * 1024 * MIB;
/** 10,000 parts of five such blocks are the 50,000 that a blob may have. */
export const STREAMED_BLOCK_BYTES = 1024 * MIB;
export const MAX_PARTS = 10_000;
export const MAX_OBJECT_BYTES = MAX_PARTS * MAX_BLOCK_BYTES;

/** Becomes part of a host name: nothing in it may end the host, or begin another one. */
const ACCOUNT = /^[a-z0-9]{3,24}$/;
const CONTAINER = /^(?:[a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9]|\$root|\$web)$/;

export function checkConfig(config: AzureStoreConfig): void {
  if (!CONTAINER.test(config.container)) throw invalid(`"${config.container}" is not the name of a container.`);
  if (config.account !== undefined && config.endpoint === undefined && !ACCOUNT.test(config.account)) {
    throw invalid(
      `"${config.account.slice(0, 80)}" is not the name of a storage account; it has 3 to 24 lower-case letters and digits.`,
    );
  }
  if ([config.accountKey, config.sas, config.connectionString].filter((given) => given !== undefined).length > 1) {
    throw invalid("Give one of account key, SAS and connection string, not several.");
  }
  if (config.connectionString === undefined && config.account === undefined && config.endpoint === undefined) {
    throw invalid("Name the storage account.");
  }
  if (config.accountKey !== undefined && config.account === undefined)
    throw invalid("An account key needs the name of its account.");
  const { partSizeBytes, parallelParts, uploadBufferBytes } = config;
  for (const [name, value] of Object.entries({ partSizeBytes, parallelParts, uploadBufferBytes })) {
    if (value !== undefined && !(Number.isInteger(value) && value > 0))
      throw invalid(`${name} must be above zero, not ${value}.`);
  }
  if ((partSizeBytes ?? 0) > MAX_BLOCK_BYTES) throw invalid("A part has at most 4,000 MiB.");
}

export function serviceUrl(config: AzureStoreConfig): string {
  const url = (config.endpoint ?? `https://${config.account}.blob.core.windows.net`).replace(/\/+$/, "");
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) {
    throw invalid(`"${url}" is not the address of a blob service.`);
  }
  if (parsed.username !== "" || parsed.password !== "" || parsed.search !== "" || parsed.hash !== "") {
    throw invalid(
      "The address of a blob service holds no user name, no query and no fragment; give credentials on their own.",
    );
  }
  return url;
}

function invalid(message: string): GfsError {
  return new GfsError("ConfigInvalid", message, { op: "azure.config" });
}
