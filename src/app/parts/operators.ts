/**
 * The objects of the Prometheus and VictoriaMetrics operators in the cluster: scrape jobs and rules without any
 * operator.
 */
import { BadDataError } from '#core/errors.ts'
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
  const { config, tenancy } = context
  if (!tenancy.isOn && config.text('operator_tenant') !== 'default')
    throw new BadDataError('operator_tenant=namespace makes tenants of namespaces; it needs tenancy=on')
  const tenantOf = (namespace: string): string | undefined =>
    config.text('operator_tenant') === 'namespace' ? namespace : undefined
  const watcher = new OperatorWatcher(scraping.discovery, async ({ jobs, rules }) => {
    // Whoever may write objects in a namespace does not choose among tenants.
    await scraping.setOperatorJobs(
      jobs.map(({ namespace, job }) => ({ ...job, tenant: tenantOf(namespace) ?? '', isTenantFixed: true })),
    )
    await alerting?.setOperatorRules(
      rules.map(({ namespace, file, text }) => ({ file, text, tenant: tenantOf(namespace) })),
    )
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
