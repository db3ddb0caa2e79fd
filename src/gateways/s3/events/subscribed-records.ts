import type { Bucket, ChangeLine, CoordinatorService, ObjectMeta } from "../../../coordinator/service/service.ts";
import type { Ctx } from "../../../core/context.ts";
import { isGfsError } from "../../../core/errors.ts";
import { subscriptionsOf, wants } from "./configuration.ts";
import { eventsOf, type NamedEvent } from "./event-types.ts";
import { type EventRecord, recordOf } from "./message.ts";

export interface RecordSource {
  readonly service: CoordinatorService;
  readonly region: string;
  readonly webhook: string;
}

/** What a change is to one webhook: a record for each subscription of the bucket that asks for it, as the bucket is configured now. */
export async function recordsFor(ctx: Ctx, source: RecordSource, change: ChangeLine): Promise<readonly EventRecord[]> {
  const records: EventRecord[] = [];
  for (const event of eventsOf(change)) {
    const slash = event.path.indexOf("/");
    if (slash === -1) continue;
    const key = event.path.slice(slash + 1);
    const bucket = await findBucket(ctx, source.service, event.path.slice(0, slash));
    if (bucket === undefined) continue;
    const wanted = subscriptionsOf(bucket).filter(
      (subscription) => subscription.webhook === source.webhook && wants(subscription, typeIn(bucket, event), key),
    );
    if (wanted.length === 0) continue;
    const meta = event.describes ? await findMeta(ctx, source.service, { change, event, bucket }) : undefined;
    for (const { id } of wanted) {
      records.push(
        recordOf({
          change,
          type: typeIn(bucket, event),
          bucket,
          key,
          configurationId: id,
          region: source.region,
          meta,
        }),
      );
    }
  }
  return records;
}

/** Where versions are kept, what a rule takes away is hidden below a delete marker. */
function typeIn({ versioning }: Bucket, { type }: NamedEvent): string {
  const marks = versioning !== "off" && type === "s3:LifecycleExpiration:Delete";
  return marks ? "s3:LifecycleExpiration:DeleteMarkerCreated" : type;
}

/** A bucket with notifications has a row in the catalog; sites need not be asked, and one that does not answer holds up nothing. */
async function findBucket(ctx: Ctx, service: CoordinatorService, name: string): Promise<Bucket | undefined> {
  try {
    return service.peekBucket(name) ?? (await service.findBucket(ctx, name));
  } catch (error) {
    if (isGfsError(error, "Unavailable", "InvalidKey", "InvalidArgument")) return undefined;
    throw error;
  }
}

async function findMeta(
  ctx: Ctx,
  service: CoordinatorService,
  { change, event, bucket }: { readonly change: ChangeLine; readonly event: NamedEvent; readonly bucket: Bucket },
): Promise<ObjectMeta | undefined> {
  const options =
    bucket.versioning === "off" || change.versionId === undefined ? [{}] : [{}, { versionId: change.versionId }];
  for (const option of options) {
    try {
      const { meta } = await service.headObject(ctx, event.path, option);
      if (meta.versionId === change.versionId) return meta;
    } catch (error) {
      if (!isGfsError(error, "NotFound", "MethodNotAllowed", "Unavailable", "IsADirectory", "InvalidArgument"))
        throw error;
    }
  }
  return undefined;
}
