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

export async function listVisibleJobs({ service, ctx, access }: Lister, query: JobQuery): Promise<JobPage> {
  const jobs: Job[] = [];
  let { after } = query;
  for (let pages = 1; ; pages++) {
    const limit = pages === 1 ? query.limit : PAGE;
    const page = await service.listJobs(ctx, { ...query, limit, ...(after === undefined ? {} : { after }) });
    let hidden = 0;
    for (const job of page.jobs) {
      if (!(await access.mayRead(job.path))) hidden += 1;
      else if (jobs.length === query.limit) return { jobs, continuation: (jobs.at(-1) as Job).id };
      else jobs.push(job);
    }
    if (pages === 1 && hidden === 0) return page;
    if (page.continuation === undefined) return { jobs };
    if (pages === MAX_PAGES) return { jobs, continuation: page.continuation };
    after = page.continuation;
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
