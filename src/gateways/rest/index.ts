/** The REST API: translation only; what is done is the coordinator's. */
export { createRestGateway, type RestGateway, type RestGatewayConfig, type RestGatewayDeps } from "./gateway.ts";
