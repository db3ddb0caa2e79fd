/** The coordinator: puts the rooms below together behind one service interface. */
export { type Assembled, type Assembly, assembleCoordinator } from "./assemble.ts";
export { checkSetAside } from "./foreign/check-set-aside.ts";
export { DAY_MS, expiryOf } from "./leader/lifecycle-rules.ts";
export { continuationAfter, placeOfContinuation } from "./listing/list-continuation.ts";
export type { Coordinator } from "./coordinator.ts";
export type { Settings } from "./kit.ts";
export type * from "./service/service.ts";
export { isAdded } from "./admin/site-admin.ts";
export { createPlaceBook, type PlaceBookDeps } from "./admin/site-places.ts";
export { createUploadBook } from "./uploads/site-uploads.ts";
