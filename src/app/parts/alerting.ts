/** Alerting: rules and what they record and notify, Prometheus' API of them, and the Alertmanager with its API. */
import { alertmanagerRoutes } from '#api/alertmanager/routes.ts'
import { ruleRoutes } from '#api/prometheus/rules.ts'
import type { Alertmanager } from '#alert/alertmanager/alertmanager.ts'
import type { Registry } from '#core/counter.ts'
import { defaultAlertLimits } from '#core/limits.ts'
import { Alerting } from '../alerting.ts'
import { OwnAlertmanager } from '../alertmanager.ts'
import { queryRoutes, type Context } from '../context.ts'
import type { ServingContext } from '../workers.ts'
import { makePart, type Part } from '../part.ts'
import type { Scraping } from '../scraping.ts'
import { defaultTenants } from '#api/tenancy.ts'
import { version } from '../version.ts'
import type { MetricsPart } from './metrics.ts'

export interface AlertingPart extends Part {
  alerting: Alerting
  /** Undefined in a process that only reads. */
  alertmanager: Alertmanager | undefined
}

export interface AlertingSources {
  metrics: MetricsPart
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
    backupKey: `${defaultTenants.metrics}/tercet/alertmanager/state.json`,
    externalUrl,
    allowsOffLimits: config.isOn('limits.notify_link_local'),
    limits: {
      ...defaultAlertLimits,
      alertsMax: config.number('limits.alerts'),
      silencesMax: config.number('limits.silences'),
    },
  })
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

function registerAlertmanager(registry: Registry, alertmanager: Alertmanager): void {
  const read: Registry['read'] = (...row) => {
    registry.read(...row)
  }
  const { silences } = alertmanager
  read('tercet_notifications_total', 'Notifications sent.', 'counter', () => alertmanager.notifications)
  read('tercet_notification_failures_total', 'Notifications that failed.', 'counter', () => alertmanager.failures)
  read('tercet_alertmanager_alerts', 'Alerts that are not over.', 'gauge', () => alertmanager.alerts().length)
  read('tercet_alertmanager_silences', 'Silences, ended ones included.', 'gauge', () => silences.size)
}

export async function makeAlerting(context: ServingContext, sources: AlertingSources): Promise<AlertingPart> {
  const { config, world, env, externalUrl, startedMs, isReader, workers } = context
  const { metrics, scraping } = sources
  const own = isReader ? undefined : await makeAlertmanager(context, metrics)
  const alerting = new Alerting({
    world,
    env,
    ruleFiles: isReader ? [] : config.list('rule_files'),
    appender: metrics.engine,
    tenant: defaultTenants.metrics,
    externalUrl,
    own: own?.receiver,
    discovery: scraping.discovery,
    // In front of people's queries: an alert must not be late, and rules of a group come one by one.
    evaluate: (query, atMs) => workers.evaluate(query, atMs, { isFirst: true }),
    metrics: () => metrics.engine.reader(defaultTenants.metrics),
  })
  const alertmanager = own?.alertmanager
  const ownRoutes =
    alertmanager === undefined ? [] : alertmanagerRoutes({ clock: world.clock, alertmanager, version, startedMs })
  const part = makePart({
    name: 'alerting',
    routes: queryRoutes(context, [...ruleRoutes(alerting), ...ownRoutes]),
    metrics: registry => {
      registerRules(registry, alerting)
      if (alertmanager !== undefined) registerAlertmanager(registry, alertmanager)
    },
    start: async () => {
      await own?.start()
      await alerting.load(scraping.config)
    },
    stop: async () => {
      await alerting.stop()
      await own?.stop()
    },
    reload: async () => {
      await alerting.load(scraping.config)
      await own?.reload()
    },
  })
  return { ...part, alerting, alertmanager }
}
