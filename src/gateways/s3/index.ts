/** The S3 endpoint over the coordinator service. */
export { createEventDelivery } from "./events/index.ts";
export type { S3Settings } from "./wire/request.ts";
export { createS3Gateway, type S3Gateway, type S3GatewayConfig, type S3GatewayDeps } from "./server.ts";
