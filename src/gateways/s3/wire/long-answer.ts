import { withSigns } from "../../http/index.ts";
import type { S3Deps, S3Request } from "./request.ts";
import { type FlatHeaders, identifying, sendXml, XML_DECLARATION } from "./answer.ts";
import { describeFailure, failureXml } from "./error-answer.ts";

export interface LongAnswer {
  readonly document: string;
  readonly headers: FlatHeaders;
}

/**
 * Work that may take longer than clients and proxies wait in silence: as S3 does, the answer then begins with 200 and white space, and the
 * document that follows is the result or the error. Work that ends before that is answered as ever.
 */
export async function answerLong(request: S3Request, deps: S3Deps, work: () => Promise<LongAnswer>): Promise<void> {
  const { ctx, response, http } = request;
  let begun = false;
  const sign = (): void => {
    if (!begun) {
      begun = true;
      response.writeHead(200, [...identifying(ctx), "Content-Type", "application/xml"]);
      response.write(XML_DECLARATION);
    } else response.write(" ");
  };
  try {
    const { document, headers } = await withSigns(deps.clock, sign, work);
    if (begun) response.end(document);
    else sendXml(request, document, { headers });
  } catch (error) {
    if (!begun) throw error;
    const failed = { ctx, http, target: request };
    const failure = describeFailure(error, failed);
    request.told.code = failure.code;
    response.end(failureXml(failure, failed));
  }
}
