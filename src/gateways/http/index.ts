/** What every gateway needs of HTTP, whatever it speaks over it: contexts, values of headers, bodies, and a server with bounds. */
export {
  CONTROL,
  hasConditions,
  headerBytes,
  headerText,
  httpDate,
  parseConditions,
  parseEtags,
  parseHttpDate,
  rangesAsked,
  TOKEN,
} from "./header-values.ts";
export { certifiedNames } from "./client-certificate.ts";
export { originOf, takeOrigin } from "./client-origin.ts";
export { type Admitted, Admission } from "./admission.ts";
export { BodyTurns } from "./body-turns.ts";
export { type Deadline, drainRest, type IncomingBody, incomingBody, type Pace, readWhole } from "./incoming-body.ts";
export { type Audited, type Auditor, createAuditor, type Told } from "./audited.ts";
export { createPageGuard, ownHost, type OwnNames, type PageGuard } from "./foreign-pages.ts";
export { createPassOn, type PassOn } from "./pass-on.ts";
export { withSigns } from "./signs-of-life.ts";
export { presentedToken } from "./presented-token.ts";
export { pump } from "./pump.ts";
export { createTraffic, DURATION_BUCKETS_SECONDS, methodLabel, nextRequestId, pathOf } from "./request-context.ts";
export { apartHeaders, sealedHeaders } from "./shown-in-browsers.ts";
export { createHttpServer, type HttpServer, LISTEN_BACKLOG, listenFailure, type TlsFiles } from "./server.ts";
export { takeWaiting } from "./waiting-connections.ts";
