import type { XmlElement } from "../../../../core/xml.ts";
import type { BucketSettings } from "../../../../namespace/types.ts";
import { S3_NAMESPACE, sendEmpty, sendXml } from "../../wire/answer.ts";
import {
  allowOnly,
  integerOf,
  malformedXml,
  oneOf,
  onlyChild,
  readConfiguration,
  requiredText,
  textOf,
} from "../../wire/documents.ts";
import { s3Error } from "../../wire/errors.ts";
import type { Operation } from "../../wire/request.ts";
import { bucketOf, changeBucket } from "./bucket-change.ts";

const DAYS_A_YEAR = 365;
const MAX_YEARS = 100;

type DefaultRetention = NonNullable<BucketSettings["defaultRetention"]>;

export const getObjectLockConfiguration: Operation = {
  name: "GetObjectLockConfiguration",
  action: "s3:GetBucketObjectLockConfiguration",
  bucket: "exists",
  async run(request) {
    const { objectLock, defaultRetention, documents } = bucketOf(request);
    if (!objectLock) {
      throw s3Error(
        "NotFound",
        "ObjectLockConfigurationNotFoundError",
        "Object Lock configuration does not exist for this bucket.",
      );
    }
    const rule =
      defaultRetention === undefined
        ? ""
        : `<Rule><DefaultRetention>${describe(defaultRetention, documents["lockUnit"])}</DefaultRetention></Rule>`;
    sendXml(
      request,
      `<ObjectLockConfiguration ${S3_NAMESPACE}><ObjectLockEnabled>Enabled</ObjectLockEnabled>${rule}</ObjectLockConfiguration>`,
    );
  },
};

/** The catalog counts days; who wrote years reads years. */
function describe({ mode, days }: DefaultRetention, unit: string | undefined): string {
  const period = unit === "years" ? `<Years>${days / DAYS_A_YEAR}</Years>` : `<Days>${days}</Days>`;
  return `<Mode>${mode.toUpperCase()}</Mode>${period}`;
}

export const putObjectLockConfiguration: Operation = {
  name: "PutObjectLockConfiguration",
  action: "s3:PutBucketObjectLockConfiguration",
  bucket: "exists",
  async run(request, deps) {
    const document = await readConfiguration(request, "ObjectLockConfiguration");
    allowOnly(document, ["ObjectLockEnabled", "Rule"]);
    oneOf(requiredText(document, "ObjectLockEnabled"), ["Enabled"], "ObjectLockEnabled");
    const rule = onlyChild(document, "Rule");
    const read = rule === undefined ? undefined : readRule(rule);
    const { objectLock, versioning } = bucketOf(request);
    if (!objectLock && versioning !== "enabled") {
      throw s3Error("Conflict", "InvalidBucketState", "Object lock needs a bucket whose versioning is enabled.");
    }
    await changeBucket(request, deps, {
      objectLock: true,
      defaultRetention: read === undefined ? null : read.retention,
      documents: { lockUnit: read?.years === true ? "years" : null },
    });
    sendEmpty(request);
  },
};

function readRule(rule: XmlElement): { readonly retention: DefaultRetention; readonly years: boolean } {
  allowOnly(rule, ["DefaultRetention"]);
  const retention = onlyChild(rule, "DefaultRetention");
  if (retention === undefined) throw malformedXml("has a Rule without DefaultRetention");
  allowOnly(retention, ["Mode", "Days", "Years"]);
  const mode = oneOf(requiredText(retention, "Mode"), ["GOVERNANCE", "COMPLIANCE"], "Mode");
  const days = textOf(retention, "Days");
  const years = textOf(retention, "Years");
  if ((days === undefined) === (years === undefined)) throw malformedXml("needs either Days or Years");
  const count = integerOf(days ?? years ?? "");
  if (count === undefined) throw malformedXml("has a retention period that is no number");
  const longest = days === undefined ? MAX_YEARS : MAX_YEARS * DAYS_A_YEAR;
  if (count < 1 || count > longest) {
    throw s3Error("InvalidArgument", "InvalidRetentionPeriod", `The default retention period is 1 to ${longest}.`);
  }
  return {
    retention: {
      mode: mode === "GOVERNANCE" ? "governance" : "compliance",
      days: days === undefined ? count * DAYS_A_YEAR : count,
    },
    years: days === undefined,
  };
}
