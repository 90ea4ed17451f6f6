/** Alerting: rules and what they record and notify, Prometheus' API of them, and the Alertmanager with its API. */
import type { Alertmanagers } from '#alert/alertmanager/alertmanagers.ts'
import { Ruler } from '#alert/ruler.ts'
import { alertmanagerRoutes } from '#api/alertmanager/routes.ts'
import { ruleRoutes } from '#api/prometheus/rules.ts'
import { lokiRulerRoutes, mimirRulerRoutes } from '#api/ruler.ts'
import { defaultTenants } from '#api/tenancy.ts'
import type { Registry } from '#core/counter.ts'
import { NotFoundError } from '#core/errors.ts'
import { defaultAlertLimits } from '#core/limits.ts'
import { ruleGroupsPrefix } from '#wire/ruler/rule-group.ts'
import { Alerting } from '../alerting.ts'
import { OwnAlertmanager } from '../alertmanager.ts'
import { queryRoutes, tenantSetting, type Context } from '../context.ts'
import { notificationGuard } from '../outgoing.ts'
import { makePart, type Part } from '../part.ts'
import { RuleObjects } from '../rule-objects.ts'
import type { Scraping } from '../scraping.ts'
import { version } from '../version.ts'
import type { ServingContext } from '../workers.ts'
import type { LogsPart } from './logs.ts'
import type { MetricsPart } from './metrics.ts'

export interface AlertingPart extends Part {
  alerting: Alerting
  /** Undefined in a process that only reads. */
  alertmanagers: Alertmanagers | undefined
  /** The tenant is deleted: its groups of rules, its alerts and its silences go. */
  forgetTenant: (tenant: string) => Promise<void>
}

export interface AlertingSources {
  metrics: MetricsPart
  logs: LogsPart
  scraping: Scraping
}

function makeAlertmanager(context: Context, { bucket }: MetricsPart): Promise<OwnAlertmanager> {
  const { config, world, env, externalUrl } = context
  return OwnAlertmanager.make({
    world,
    env,
    file: config.text('alertmanager_config_file'),
    dataDir: config.text('data_dir'),
    bucket,
    backupPrefix: `${defaultTenants.metrics}/tercet/alertmanager/`,
    defaultTenant: defaultTenants.metrics,
    hasTenancy: context.tenancy.isOn,
    tenantsMax: config.number('limits.tenants'),
    externalUrl,
    guard: notificationGuard(config),
    limits: {
      ...defaultAlertLimits,
      alertsMax: config.number('limits.alerts'),
      silencesMax: config.number('limits.silences'),
    },
  })
}

/** The rulers of Loki and Mimir; groups of Loki's lie where a Loki on the same bucket looks for them. */
function makeRulers(context: Context, { metrics, logs }: AlertingSources, onChange: () => void): Rulers {
  const { config, world, overrides, isReader } = context
  const groupsMax = config.number('limits.rule_groups')
  const shared = {
    clock: world.clock,
    log: world.log,
    groupsMax: (tenant: string) => overrides.of(tenant).ruleGroupsMax ?? groupsMax,
    groupCharactersMax: defaultAlertLimits.ruleGroupCharactersMax,
    allCharactersMax: defaultAlertLimits.allRulesCharactersMax,
    onChange,
    isReader,
    isDeleted: isDeletedBy(logs),
  }
  const ownPrefix = `${defaultTenants.metrics}/tercet/${ruleGroupsPrefix}`
  return {
    loki: new Ruler({
      ...shared,
      api: 'loki',
      language: 'logql',
      groups: new RuleObjects(logs.bucket, ruleGroupsPrefix),
    }),
    mimir: new Ruler({
      ...shared,
      api: 'mimir',
      language: 'promql',
      groups: new RuleObjects(metrics.bucket, ownPrefix),
    }),
  }
}

async function removeRules(ruler: Ruler, tenant: string): Promise<void> {
  for (const namespace of (await ruler.list(tenant)).keys())
    await ruler.remove(tenant, namespace).catch((error: unknown) => {
      // Somebody else has just removed it.
      if (!(error instanceof NotFoundError)) throw error
    })
}

/** A tenant that is deleted as a whole is deleted from logs, too; metrics can be deleted alone. */
function isDeletedBy({ engine }: LogsPart): (tenant: string) => boolean {
  return tenant => engine.tenantsBeingDeleted().includes(tenant)
}

interface Rulers {
  loki: Ruler
  mimir: Ruler
}

function registerRules(registry: Registry, alerting: Alerting): void {
  const failures = (): number =>
    alerting.groups().reduce((sum, group) => sum + group.rules.filter(rule => rule.health === 'err').length, 0)
  registry.read('tercet_rule_groups', 'Groups of rules.', 'gauge', () => alerting.groups().length)
  registry.read('tercet_rule_evaluation_failures', 'Rules whose last evaluation failed.', 'gauge', failures)
  const { notifier } = alerting
  registry.read('tercet_alerts_sent_total', 'Alerts handed to Alertmanagers.', 'counter', () => notifier.sent)
  registry.read('tercet_alerts_dropped_total', 'Alerts that no Alertmanager took.', 'counter', () => notifier.dropped)
}

function registerRulers(registry: Registry, rulers: Rulers): void {
  const help = 'Are the groups of rules that the API of a ruler has stored not read yet, since the bucket is away?'
  for (const [api, ruler] of Object.entries(rulers) as [string, Ruler][])
    registry.read('tercet_ruler_unread', help, 'gauge', () => (ruler.isRead ? 0 : 1), { api })
}

function registerAlertmanagers(registry: Registry, alertmanagers: Alertmanagers): void {
  const read: Registry['read'] = (...row) => {
    registry.read(...row)
  }
  const sum = (count: (alertmanager: Alertmanagers['all'][number]) => number): number =>
    alertmanagers.all.reduce((total, one) => total + count(one), 0)
  read('tercet_notifications_total', 'Notifications sent.', 'counter', () => alertmanagers.notifications)
  read('tercet_notification_failures_total', 'Notifications that failed.', 'counter', () => alertmanagers.failures)
  read('tercet_alertmanager_alerts', 'Alerts that are not over.', 'gauge', () => sum(one => one.alerts().length))
  read('tercet_alertmanager_silences', 'Silences, ended ones included.', 'gauge', () => sum(one => one.silences.size))
}

export async function makeAlerting(context: ServingContext, sources: AlertingSources): Promise<AlertingPart> {
  const { config, world, env, externalUrl, startedMs, isReader, tenancy, workers } = context
  const { metrics, logs, scraping } = sources
  const own = isReader ? undefined : await makeAlertmanager(context, metrics)
  const alerting = new Alerting({
    world,
    env,
    ruleFiles: isReader ? [] : config.list('rule_files'),
    appender: metrics.engine,
    deletedMs: tenant => metrics.engine.tenantDeletion(tenant)?.requestedMs,
    hasTenancy: tenancy.isOn,
    tenant: tenantSetting(context, 'rules.tenant'),
    externalUrl,
    own: own?.receiver,
    discovery: scraping.discovery,
    // In front of people's queries: an alert must not be late, and rules of a group come one by one.
    evaluate: (query, atMs, tenants) => workers.evaluate(query, atMs, { tenants, isFirst: true }),
    metrics: tenant => metrics.engine.reader(tenant),
  })
  const { loki, mimir } = makeRulers(context, sources, () => {
    alerting.rulesChanged()
  })
  const rulers = [loki, mimir]
  // A process that only reads evaluates nothing.
  if (!isReader) alerting.setRulers(rulers)
  const readRules = async (): Promise<void> => {
    await alerting.load(scraping.config)
    await Promise.all(rulers.map(ruler => ruler.read()))
  }
  const rulerRoutes = [
    ...lokiRulerRoutes(loki, { store: logs.engine, tenantOf: tenancy.of('logs'), isReader }),
    ...mimirRulerRoutes(mimir, { store: metrics.engine, tenantOf: tenancy.of('metrics'), isReader }),
  ]
  const alertmanagers = own?.alertmanagers
  const tenantOf = tenancy.of('metrics')
  const isDeleted = isDeletedBy(logs)
  const ownRoutes =
    alertmanagers === undefined
      ? []
      : alertmanagerRoutes({ clock: world.clock, alertmanagers, tenantOf, isDeleted, version, startedMs })
  const part = makePart({
    name: 'alerting',
    routes: queryRoutes(context, [...ruleRoutes(alerting, tenancy.scopeOf('metrics')), ...rulerRoutes, ...ownRoutes]),
    metrics: registry => {
      registerRules(registry, alerting)
      registerRulers(registry, { loki, mimir })
      if (alertmanagers !== undefined) registerAlertmanagers(registry, alertmanagers)
    },
    start: async () => {
      await own?.start()
      await readRules()
    },
    stop: async () => {
      for (const ruler of rulers) ruler.close()
      await alerting.stop()
      await own?.stop()
    },
    reload: async () => {
      await readRules()
      await own?.reload()
    },
    warning: () => {
      const warnings = rulers.flatMap(ruler => ruler.warnings)
      return warnings.length === 0 ? undefined : warnings.join('\n')
    },
  })
  const forgetTenant = async (tenant: string): Promise<void> => {
    for (const ruler of rulers) await removeRules(ruler, tenant)
    await alertmanagers?.forget(tenant)
  }
  return { ...part, alerting, alertmanagers, forgetTenant }
}
