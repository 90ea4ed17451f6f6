/**
 * The objects of the Prometheus and VictoriaMetrics operators in the cluster: scrape jobs and rules without any
 * operator.
 */
import { OperatorWatcher } from '#scrape/operator/watcher.ts'
import type { Alerting } from '../alerting.ts'
import type { Context } from '../context.ts'
import { makePart, type Part } from '../part.ts'
import type { Scraping } from '../scraping.ts'

/** Whether `operator_objects` asks for it: `auto` does inside a cluster. */
function isFollowing({ config, env, isReader }: Context): boolean {
  const setting = config.text('operator_objects')
  const isInCluster = (env['KUBERNETES_SERVICE_HOST'] ?? '') !== ''
  return !isReader && (setting === 'on' || (setting === 'auto' && isInCluster))
}

/** Without `alerting`, rules are left to somebody else: an agent evaluates none. */
export function makeOperators(context: Context, scraping: Scraping, alerting: Alerting | undefined): Part {
  if (!isFollowing(context)) return makePart({ name: "operators' objects" })
  const watcher = new OperatorWatcher(scraping.discovery, async ({ jobs, rules }) => {
    await scraping.setOperatorJobs(jobs)
    await alerting?.setOperatorRules(rules.map(({ file, text }) => ({ file, text, tenant: undefined })))
  })
  return makePart({
    name: "operators' objects",
    start: () => {
      watcher.start()
      return Promise.resolve()
    },
    stop: () => watcher.stop(),
  })
}
