/** Who may ask, and where the process may listen and reach out to. */
export { createEndpointGuard, type EndpointGuard, type EndpointGuardConfig } from "./endpoint-guard.ts";
export { createKeyring, generateApiKey, hashApiKey, type Keyring, type StoredKey } from "./keyring.ts";
export { assertSafeListen, isLoopbackHost, type ListenAddress, parseListenAddress } from "./listen.ts";
