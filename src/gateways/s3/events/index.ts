/** Event notifications of buckets. */
export { createEventDelivery, type EventDelivery, type EventDeliveryDeps } from "./delivery.ts";
export type { Webhook } from "./webhook.ts";
