import { createHash } from "node:crypto";
import { childrenNamed, escapeXml, type XmlElement } from "../../../../core/xml.ts";
import { S3_NAMESPACE, sendEmpty, sendXml } from "../../wire/answer.ts";
import { allowOnly, malformedXml, onlyChild, readConfiguration, requiredText, textOf } from "../../wire/documents.ts";
import { notImplemented, s3Error } from "../../wire/errors.ts";
import {
  EVENT_TYPES,
  type Subscription,
  subscriptionsOf,
  webhookArn,
  webhookOfArn,
} from "../../events/configuration.ts";
import type { Operation, S3Settings } from "../../wire/request.ts";
import { bucketOf, changeBucket } from "./bucket-change.ts";

const MAX_SUBSCRIPTIONS = 100;

export const getBucketNotification: Operation = {
  name: "GetBucketNotificationConfiguration",
  action: "s3:GetBucketNotification",
  bucket: "exists",
  async run(request, { settings }) {
    const queues = subscriptionsOf(bucketOf(request)).map((subscription) => describe(subscription, settings));
    sendXml(request, `<NotificationConfiguration ${S3_NAMESPACE}>${queues.join("")}</NotificationConfiguration>`);
  },
};

/** An empty document takes all notifications away. */
export const putBucketNotification: Operation = {
  name: "PutBucketNotificationConfiguration",
  action: "s3:PutBucketNotification",
  bucket: "exists",
  async run(request, deps) {
    const document = await readConfiguration(request, "NotificationConfiguration");
    for (const other of ["TopicConfiguration", "CloudFunctionConfiguration", "EventBridgeConfiguration"]) {
      if (onlyOrMany(document, other)) {
        throw notImplemented(`${other} is not implemented; events go to webhooks, named by QueueConfiguration.`);
      }
    }
    allowOnly(document, ["QueueConfiguration"]);
    const queues = childrenNamed(document, "QueueConfiguration");
    if (queues.length > MAX_SUBSCRIPTIONS) throw malformedXml(`has more than ${MAX_SUBSCRIPTIONS} configurations`);
    const subscriptions = queues.map((queue) => readQueue(queue, deps.settings));
    if (new Set(subscriptions.map(({ id }) => id)).size < subscriptions.length) {
      throw invalid("Two configurations have the same Id.");
    }
    const notification = subscriptions.length === 0 ? null : JSON.stringify(subscriptions);
    await changeBucket(request, deps, { documents: { notification } });
    sendEmpty(request);
  },
};

function onlyOrMany(document: XmlElement, name: string): boolean {
  return document.children.some((child) => child.name === name);
}

function readQueue(element: XmlElement, { region, webhooks }: S3Settings): Subscription {
  allowOnly(element, ["Id", "Queue", "Event", "Filter"]);
  const arn = requiredText(element, "Queue").trim();
  const webhook = webhookOfArn(region, arn);
  if (webhook === undefined || !Object.hasOwn(webhooks, webhook)) {
    throw invalid(
      `Unable to validate the destination: name a webhook of the section s3.webhooks as ${webhookArn(region, "NAME")}.`,
    );
  }
  const events = childrenNamed(element, "Event").map(({ text }) => {
    const event = EVENT_TYPES.find((one) => one === text.trim());
    if (event === undefined) throw invalid(`The event ${text.slice(0, 80)} is not supported for notifications.`);
    return event;
  });
  if (events.length === 0) throw malformedXml("has a QueueConfiguration without Event");
  const filter = onlyChild(element, "Filter");
  const id = textOf(element, "Id");
  return {
    id: id === undefined || id === "" ? madeId(element) : id,
    webhook,
    events,
    ...(filter === undefined ? {} : readFilter(filter)),
  };
}

function madeId(element: XmlElement): string {
  return createHash("sha256").update(JSON.stringify(element)).digest("hex").slice(0, 32);
}

function readFilter(filter: XmlElement): Pick<Subscription, "prefix" | "suffix"> {
  allowOnly(filter, ["S3Key"]);
  const key = onlyChild(filter, "S3Key");
  if (key === undefined) return {};
  allowOnly(key, ["FilterRule"]);
  const found: { prefix?: string; suffix?: string } = {};
  for (const rule of childrenNamed(key, "FilterRule")) {
    allowOnly(rule, ["Name", "Value"]);
    const name = requiredText(rule, "Name").toLowerCase();
    if (name !== "prefix" && name !== "suffix") throw invalid("filter rule name must be either prefix or suffix.");
    if (found[name] !== undefined) throw invalid(`Cannot specify more than one ${name} rule in a filter.`);
    found[name] = requiredText(rule, "Value");
  }
  return found;
}

function describe({ id, webhook, events, prefix, suffix }: Subscription, { region }: S3Settings): string {
  const rules = [
    ["prefix", prefix],
    ["suffix", suffix],
  ].flatMap(([name, value]) =>
    value === undefined ? [] : [`<FilterRule><Name>${name}</Name><Value>${escapeXml(value)}</Value></FilterRule>`],
  );
  const filter = rules.length === 0 ? "" : `<Filter><S3Key>${rules.join("")}</S3Key></Filter>`;
  return `<QueueConfiguration><Id>${escapeXml(id)}</Id><Queue>${escapeXml(webhookArn(region, webhook))}</Queue>${events.map((event) => `<Event>${event}</Event>`).join("")}${filter}</QueueConfiguration>`;
}

function invalid(sentence: string): Error {
  return s3Error("InvalidArgument", "InvalidArgument", sentence);
}
