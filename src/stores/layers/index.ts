export { bandwidthLayer } from "./bandwidth.ts";
export { type Breaker, type BreakerConfig, breakerLayer, createBreaker } from "./breaker.ts";
export { type ChaosConfig, chaosLayer } from "./chaos.ts";
export { checksumLayer } from "./checksum.ts";
export { metricsLayer } from "./metrics.ts";
export { delayOf, retryLayer, type RetryPolicy } from "./retry.ts";
export { type StackConfig, type StackDeps, type Stacked, stackLayers } from "./stack.ts";
export { timeoutLayer, type TimeoutPolicy } from "./timeout.ts";
