import type { z } from "zod";
import type { CoordinatorService, LeasePage } from "../../coordinator/index.ts";
import type * as schemas from "./schemas.ts";
import { defined, iso } from "./views.ts";

type Session = Awaited<ReturnType<CoordinatorService["listSessions"]>>[number];

export function sessionView(session: Session): z.infer<typeof schemas.sessionSchema> {
  const { here } = session;
  return defined({
    id: session.session,
    host: session.host,
    labels: { ...session.labels },
    since: iso(session.sinceMs),
    served_by: session.servedBy,
    ending: session.ending,
    covered: here?.covered,
    behind: here?.behind,
    trusted_for_ms: here === undefined ? undefined : Math.round(here.trustedForMs),
    waited_for_since: here?.waitedForSinceMs === undefined ? undefined : iso(here.waitedForSinceMs),
  });
}

export function leasesView({ leases, more }: LeasePage): z.infer<typeof schemas.leasesSchema> {
  return {
    leases: leases.map((lease) =>
      defined({
        inode: lease.inode,
        path: lease.path,
        type: lease.type,
        state: lease.state,
        session: lease.session,
        host: lease.host,
        owner: lease.owner === "" ? undefined : lease.owner,
        epoch: lease.epoch,
        since: lease.sinceMs === undefined ? undefined : iso(lease.sinceMs),
        spans: lease.spans?.map((span) => ({ ...span })),
      }),
    ),
    more,
  };
}
