/** The signature gate: who asks, and a body that is what was signed. Every request passes it before anything else. */
export { createGate } from "./gate.ts";
export { isPostForm } from "./form.ts";
export { paceOf } from "./pace.ts";
export { formOf, type PostForm } from "./form-body.ts";
export type { Authenticated, Gate, GateDeps, GateSettings } from "./types.ts";
