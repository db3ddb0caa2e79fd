import type { CoordinatorService, JobPage, JobQuery } from "../../../coordinator/index.ts";
import { isGfsError } from "../../../core/errors.ts";
import type { JobId } from "../../../core/ids.ts";
import { refused } from "./request-access.ts";
import type { Lister } from "./visible-listing.ts";

/** Jobs name the objects that they are about: each is shown to who may read its object. */

type Job = Awaited<ReturnType<CoordinatorService["getJob"]>>;

const PAGE = 1_000;
/** An answer looks at so many pages at most; the continuation leads on. */
const MAX_PAGES = 10;

export async function listVisibleJobs({ service, ctx, access }: Lister, asked: JobQuery): Promise<JobPage> {
  const { counts, ...query } = asked;
  const jobs: Job[] = [];
  let { after } = query;
  // How many there are in all is for those who may see all.
  const counting = counts === true && maySeeAll(access) ? { counts } : {};
  const told: Pick<JobPage, "counts" | "paused"> = {};
  for (let pages = 1; ; pages++) {
    const limit = pages === 1 ? query.limit : PAGE;
    const more = pages === 1 ? counting : {};
    const page = await service.listJobs(ctx, { ...query, ...more, limit, ...(after === undefined ? {} : { after }) });
    if (pages === 1)
      Object.assign(told, page.counts && { counts: page.counts }, page.paused && { paused: page.paused });
    let hidden = 0;
    for (const job of page.jobs) {
      if (!(await access.mayRead(job.path))) hidden += 1;
      else if (jobs.length === query.limit) return { ...told, jobs, continuation: (jobs.at(-1) as Job).id };
      else jobs.push(job);
    }
    if (pages === 1 && hidden === 0) return page;
    if (page.continuation === undefined) return { ...told, jobs };
    if (pages === MAX_PAGES) return { ...told, jobs, continuation: page.continuation };
    after = page.continuation;
  }
}

function maySeeAll(access: Lister["access"]): boolean {
  try {
    access.operation("globalfs:ListSites");
    return true;
  } catch (error) {
    if (isGfsError(error, "PermissionDenied")) return false;
    throw error;
  }
}

/** The job, if the caller may see or change it. To those who may not, a job that is not there looks the same. */
export async function checkJob({ service, ctx, access }: Lister, id: JobId, wish: "see" | "change"): Promise<Job> {
  let job: Job;
  try {
    job = await service.getJob(ctx, id);
  } catch (error) {
    if (isGfsError(error, "NotFound")) access.operation("globalfs:ListSites");
    throw error;
  }
  if (!(await access.mayRead(job.path))) throw refused();
  if (wish === "change") access.operation("globalfs:ChangeJob", job.path);
  return job;
}
