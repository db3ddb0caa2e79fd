import { hash, webcrypto } from "node:crypto";

/** Above this, hashing on the thread pool costs less than holding up the event loop. */
const OFF_THREAD_BYTES = 1024 * 1024;

/** The SHA-256 that the endpoint checks the body against. */
export async function sha256Hex(bytes: Uint8Array): Promise<string> {
  if (bytes.byteLength < OFF_THREAD_BYTES) return hash("sha256", bytes);
  return Buffer.from(await webcrypto.subtle.digest("SHA-256", bytes)).toString("hex");
}
