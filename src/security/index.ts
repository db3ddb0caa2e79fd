/** Who may ask and do what, and where the process may listen and reach out to. */
export { generateAccessKeyPair, generateSessionToken } from "./access-key-pair.ts";
export * from "./access/index.ts";
export * from "./audit/index.ts";
export { createEndpointGuard, type EndpointGuard, type EndpointGuardConfig } from "./endpoint-guard.ts";
export {
  assertAccessChosen,
  assertNotInClear,
  isLoopbackHost,
  type ListenAddress,
  parseListenAddress,
} from "./listen.ts";
export { readOwnFile, writeOwnFile } from "./own-file.ts";
export { createSecretBox, SECRET_KEY_BYTES, type SecretBox } from "./secret-box.ts";
export { openSecretBox } from "./secret-key-file.ts";
