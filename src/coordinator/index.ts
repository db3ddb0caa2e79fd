/** The coordinator: puts the rooms below together behind one service interface. */
export { type Assembled, type Assembly, assembleCoordinator } from "./assemble.ts";
export { DAY_MS, expiryOf } from "./lifecycle-rules.ts";
export { continuationAfter, placeOfContinuation } from "./list-continuation.ts";
export type { Coordinator } from "./coordinator.ts";
export type { Settings } from "./parts.ts";
export type * from "./service.ts";
export { isAdded } from "./site-admin.ts";
export { createPlaceBook, type PlaceBookDeps } from "./site-places.ts";
export { createUploadBook } from "./site-uploads.ts";
