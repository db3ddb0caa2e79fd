/** Opens the container with whatever credentials there are. The SDK is loaded here, and only here. */
import type { ContainerClient, StoragePipelineOptions, StorageSharedKeyCredential } from "@azure/storage-blob";
import { GfsError } from "../../../core/errors.ts";
import { type AzureStoreConfig, serviceUrl } from "./config.ts";

export interface AzureContainer {
  readonly container: ContainerClient;
  /** Signs addresses for others; absent without an account key. */
  readonly presign?: (
    name: string,
    permissions: string,
    window: { readonly startsOn: Date; readonly expiresOn: Date },
  ) => string;
}

/** The layers above retry, and know what they may. */
const PIPELINE: StoragePipelineOptions = {
  retryOptions: { maxTries: 1 },
  userAgentOptions: { userAgentPrefix: "globalfs" },
};

export async function openContainer(config: AzureStoreConfig): Promise<AzureContainer> {
  const sdk = await import("@azure/storage-blob");
  const { ContainerClient, StorageSharedKeyCredential } = sdk;
  try {
    if (config.connectionString !== undefined) {
      const container = new ContainerClient(config.connectionString, config.container, PIPELINE);
      return withPresign(container);
    }
    const url = `${serviceUrl(config)}/${encodeURIComponent(config.container)}`;
    if (config.accountKey !== undefined && config.account !== undefined) {
      return withPresign(
        new ContainerClient(url, new StorageSharedKeyCredential(config.account, config.accountKey), PIPELINE),
      );
    }
    if (config.sas !== undefined)
      return { container: new ContainerClient(`${url}?${config.sas.replace(/^\?/, "")}`, undefined, PIPELINE) };
  } catch (error) {
    if (error instanceof GfsError) throw error;
    throw new GfsError("ConfigInvalid", "The Azure account, key or connection string is malformed.", {
      op: "azure.open",
      cause: error,
    });
  }
  const { DefaultAzureCredential } = await import("@azure/identity");
  const url = `${serviceUrl(config)}/${encodeURIComponent(config.container)}`;
  return { container: new ContainerClient(url, new DefaultAzureCredential(), PIPELINE) };

  function withPresign(container: ContainerClient): AzureContainer {
    const credential = container.credential;
    if (!(credential instanceof StorageSharedKeyCredential)) return { container };
    return {
      container,
      presign: (name, permissions, window) => signedAddress(container, credential, { name, permissions, ...window }),
    };
  }

  function signedAddress(
    container: ContainerClient,
    credential: StorageSharedKeyCredential,
    grant: { readonly name: string; readonly permissions: string; readonly startsOn: Date; readonly expiresOn: Date },
  ): string {
    const { name, permissions, startsOn, expiresOn } = grant;
    const query = sdk.generateBlobSASQueryParameters(
      {
        containerName: container.containerName,
        blobName: name,
        permissions: sdk.BlobSASPermissions.parse(permissions),
        startsOn,
        expiresOn,
      },
      credential,
    );
    return `${container.getBlobClient(name).url}?${query.toString()}`;
  }
}
