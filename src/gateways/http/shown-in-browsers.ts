/**
 * Objects are other people's bytes. A browser that is shown one must not take it for a page of ours: no script of it runs in the origin of the
 * server, whatever its type says and whatever the browser makes of its bytes.
 */

/** What browsers run, or hand to something that does: pages, drawings with scripts in them, style sheets of XML, documents with programs. */
const ACTIVE = /html|xml|svg|javascript|ecmascript|pdf|flash|x-mixed-replace|multipart/i;
const INERT = /^(?:image|audio|video|font)\/|^text\/(?:plain|csv)\b|^application\/(?:json|x-ndjson)\b/i;

export function isActiveType(contentType: string | undefined): boolean {
  return contentType !== undefined && ACTIVE.test(contentType);
}

const SEALED = [
  "X-Content-Type-Options",
  "nosniff",
  "Content-Security-Policy",
  "default-src 'none'; style-src 'unsafe-inline'; sandbox",
  "Cross-Origin-Resource-Policy",
  "same-origin",
];
const SEALED_DOWNLOAD = [...SEALED, "Content-Disposition", "attachment"];

/** For objects of the API: a sandbox in which nothing runs and nothing is fetched, and what is no picture, sound or plain text is saved, not shown. */
export function sealedHeaders(contentType: string | undefined): readonly string[] {
  const isShown = contentType !== undefined && INERT.test(contentType) && !ACTIVE.test(contentType);
  return isShown ? SEALED : SEALED_DOWNLOAD;
}

const GUESSES_FORBIDDEN = ["X-Content-Type-Options", "nosniff"];
const APART = [
  ...GUESSES_FORBIDDEN,
  "Content-Security-Policy",
  "sandbox allow-scripts allow-forms allow-modals allow-popups allow-downloads",
];

/**
 * For objects of S3 clients, whose links are made to be opened: a page works, with its scripts, and in an origin of its own, so that it
 * sees nothing of other objects, of cookies, or of another port of the same host.
 */
export function apartHeaders(contentType: string | undefined): readonly string[] {
  return isActiveType(contentType) ? APART : GUESSES_FORBIDDEN;
}
