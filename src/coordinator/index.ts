/** The coordinator: puts the rooms below together behind one service interface. */
export { type Coordinator, type CoordinatorDeps, createCoordinator } from "./coordinator.ts";
export type { Settings } from "./parts.ts";
export type * from "./service.ts";
