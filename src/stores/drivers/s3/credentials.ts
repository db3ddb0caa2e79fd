import { GfsError } from "../../../core/errors.ts";
import type { Clock } from "../../../core/ports/clock.ts";
import type { S3Credentials } from "./config.ts";
import type { AwsCredentials } from "./sigv4.ts";

/** Hands out credentials that work for a while longer; undefined means that requests go out unsigned. */
export interface CredentialSource {
  get(): Promise<AwsCredentials | undefined> | AwsCredentials | undefined;
  /** The endpoint refused these as expired: the next `get` fetches others. Resolves with whether others can be had. */
  refuse(credentials: AwsCredentials): boolean;
}

export type CredentialProvider = () => Promise<{
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
  readonly expiration?: Date | undefined;
}>;

/** Credentials are renewed this long before they end, so that none end on the way. */
const RENEW_BEFORE_MS = 5 * 60_000;

export function credentialSource(config: S3Credentials | undefined, clock: Clock): CredentialSource {
  if (config === "anonymous") return { get: () => undefined, refuse: () => false };
  if (config !== undefined && "accessKeyId" in config) {
    const lasting: AwsCredentials = { ...config };
    return { get: () => lasting, refuse: () => false };
  }
  return new ProvidedCredentials(() => loadProvider(config?.profile), clock);
}

/** Asks a provider, one question at a time, and keeps what it said until shortly before that ends. */
export class ProvidedCredentials implements CredentialSource {
  readonly #load: () => Promise<CredentialProvider>;
  readonly #clock: Clock;
  #provider: CredentialProvider | undefined;
  #current: AwsCredentials | undefined;
  #asking: Promise<AwsCredentials> | undefined;

  constructor(load: () => Promise<CredentialProvider>, clock: Clock) {
    this.#load = load;
    this.#clock = clock;
  }

  get(): Promise<AwsCredentials> | AwsCredentials {
    const current = this.#current;
    const leftMs = (current?.expiresMs ?? Number.POSITIVE_INFINITY) - this.#clock.nowMs();
    if (current !== undefined && leftMs > RENEW_BEFORE_MS) return current;
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    // What still works a little while is good enough when the provider is out of order.
    if (current !== undefined && leftMs > 0) return this.#asking.catch(() => current);
    return this.#asking;
  }

  refuse(credentials: AwsCredentials): boolean {
    if (this.#current === credentials) {
      this.#current = undefined;
      // The provider keeps answers of its own; a new one starts from nothing.
      this.#provider = undefined;
    }
    return true;
  }

  async #ask(): Promise<AwsCredentials> {
    try {
      this.#provider ??= await this.#load();
      const found = await this.#provider();
      this.#current = {
        accessKeyId: found.accessKeyId,
        secretAccessKey: found.secretAccessKey,
        ...(found.sessionToken === undefined ? {} : { sessionToken: found.sessionToken }),
        ...(found.expiration === undefined ? {} : { expiresMs: found.expiration.getTime() }),
      };
      return this.#current;
    } catch (error) {
      throw new GfsError(
        "Unauthenticated",
        "No AWS credentials were found; give them in the site's configuration, in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or in a profile.",
        { op: "s3.credentials", cause: error },
      );
    }
  }
}

async function loadProvider(profile: string | undefined): Promise<CredentialProvider> {
  const { defaultProvider } = await import("@aws-sdk/credential-provider-node");
  return defaultProvider(profile === undefined ? {} : { profile });
}
