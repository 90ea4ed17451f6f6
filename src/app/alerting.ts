/** Rules in the running process: their files, what they ask, where their alerts go. */
import { resolve } from 'node:path'
import type { Alert } from '#alert/alert.ts'
import type { GroupWorld, RuleGroup } from '#alert/group.ts'
import { Notifier, remoteReceiver, type AlertReceiver } from '#alert/notifier.ts'
import { RuleManager } from '#alert/rule-manager.ts'
import type { Ruler } from '#alert/ruler.ts'
import { readRulesFile, type GroupSettings } from '#alert/rules-file.ts'
import type { RuleSample } from '#alert/rules.ts'
import type { GroupView, RulesSource } from '#api/prometheus/rules.ts'
import { defaultTenants } from '#api/tenancy.ts'
import { BadDataError, messageOf, NotFoundError } from '#core/errors.ts'
import { addAll } from '#core/lists.ts'
import type { Scope } from '#core/scope.ts'
import { identityOf, maskUrl } from '#core/secret.ts'
import { checkTenantName } from '#core/tenant-name.ts'
import { Matcher } from '#lang/regex/matcher.ts'
import { Faults } from '#lang/settings/faults.ts'
import type { MetricsAppender } from '#metrics/append.ts'
import type { MetricsReader } from '#metrics/select.ts'
import { Labels } from '#model/labels.ts'
import { SampleColumns } from '#model/sample-columns.ts'
import type { HttpClient } from '#net/http-client.ts'
import type { AlertmanagerTarget, PrometheusConfig } from '#scrape/config.ts'
import type { ScrapeJob } from '#scrape/config.ts'
import type { Discovery, DiscoveryWorld } from '#scrape/discovery/discovery.ts'
import { filesOf } from '#scrape/discovery/simple.ts'
import { makeDiscovery } from '#scrape/manager.ts'
import { makeTargets } from '#scrape/target.ts'
import { defaultRuleTenants, type RuleQuery, type RuleTenants } from '#worker/rules.ts'
import type { World } from './world.ts'

/** Evaluates the query of a rule at a moment, over the data of these tenants. */
export type RuleEvaluation = (query: RuleQuery, atMs: number, tenants: RuleTenants) => Promise<RuleSample[]>

/** Whose a group is: its series and alerts are those of one tenant, its expressions may read of several. */
interface GroupTenants {
  own: string
  read: RuleTenants
}

export interface AlertingOptions {
  evaluate: RuleEvaluation
  metrics: (tenant: string) => MetricsReader
  world: World
  env: Readonly<Record<string, string | undefined>>
  ruleFiles: readonly string[]
  appender: MetricsAppender
  /** When the deletion of a tenant of metrics was requested last. */
  deletedMs: (tenant: string) => number | undefined
  /** With tenancy, groups are about the data of their tenants. */
  hasTenancy: boolean
  /** With tenancy, whose groups of files are that do not say it; empty: the default tenant's of each signal. */
  tenant: string
  externalUrl: string
  /** Our own Alertmanager, where it runs. */
  own: AlertReceiver | undefined
  discovery: DiscoveryWorld
}

/** Series are read so many at a time. */
const readSeries = 256

/** Alerts of a rule that were active at the last sample of their state; a staleness marker says that they ended. */
export async function storedAlerts(
  reader: MetricsReader,
  alertName: string,
  atMs: number,
  withinMs: number,
): Promise<{ labels: Labels; activeMs: number; lastMs: number }[]> {
  const matchers = [Matcher.equal('__name__', 'ALERTS_FOR_STATE'), Matcher.equal('alertname', alertName)]
  const set = await reader.select(matchers, atMs - withinMs, atMs)
  const found: { labels: Labels; activeMs: number; lastMs: number }[] = []
  const columns = new SampleColumns()
  try {
    for (let i = 0; i < set.labels.length; i++) {
      if (i % readSeries === 0) await set.load(i, Math.min(i + readSeries, set.labels.length))
      columns.clear()
      set.read(i, columns)
      const last = columns.count - 1
      if (last < 0 || columns.isStale(last) || columns.histograms?.[last] !== undefined) continue
      found.push({
        labels: set.labels[i]!.drop(new Set(['__name__'])),
        activeMs: columns.values[last]! * 1000,
        lastMs: columns.timesMs[last]!,
      })
    }
  } finally {
    set.release()
  }
  return found
}

/**
 * Reads the rule files that the patterns name; `onMissing` gets patterns that no file matches and files that do not
 * exist. Throws BadDataError.
 */
export async function loadRules(
  patterns: readonly string[],
  files: World['files'],
  directory: string,
  env: AlertingOptions['env'],
  onMissing: (path: string, isPattern: boolean) => void,
  hasTenants = false,
): Promise<GroupSettings[]> {
  const paths = new Set<string>()
  for (const pattern of patterns) {
    const matching = await filesOf({ files, directory }, pattern)
    if (matching.length === 0) onMissing(pattern, true)
    for (const path of matching) paths.add(path)
  }
  const groups: GroupSettings[] = []
  const faults = new Faults()
  for (const path of paths) {
    let text: string
    try {
      text = Buffer.from(await files.read(path)).toString('utf8')
    } catch (error) {
      if (error instanceof NotFoundError) {
        onMissing(path, false)
        continue
      }
      throw new BadDataError(`${path}: ${messageOf(error)}`, { cause: error })
    }
    addAll(
      groups,
      faults.collect(() => readRulesFile(text, path, env, hasTenants), []),
    )
  }
  faults.end()
  return groups
}

/** Foreign Alertmanagers, found as targets are. */
class OtherAlertmanagers {
  readonly #discoveries: Discovery[]
  readonly #clients: HttpClient[] = []
  readonly #found = new Map<number, AlertReceiver[]>()

  constructor(
    targets: readonly AlertmanagerTarget[],
    world: DiscoveryWorld,
    hasTenancy: boolean,
    onChange: (receivers: AlertReceiver[]) => void,
  ) {
    this.#discoveries = targets.flatMap((target, t) => {
      const client = world.client(target.client)
      this.#clients.push(client)
      const job: ScrapeJob = {
        jobName: '',
        tenant: '',
        isTenantFixed: true,
        intervalMs: 60_000,
        timeoutMs: 10_000,
        protocols: [],
        fallbackProtocol: undefined,
        nativeHistograms: false,
        classicHistograms: false,
        customBuckets: false,
        histogramBucketLimit: 0,
        histogramSchemaMax: 8,
        nameValidation: 'utf8',
        nameEscaping: 'allow-utf-8',
        extraMetrics: false,
        metricsPath: `${target.pathPrefix}/api/v2/alerts`,
        scheme: target.scheme,
        params: [],
        honorLabels: false,
        honorTimestamps: false,
        trackTimestampsStaleness: false,
        enableCompression: false,
        bodySizeLimit: 0,
        sampleLimit: 0,
        labelLimit: 0,
        labelNameLengthLimit: 0,
        labelValueLengthLimit: 0,
        targetLimit: 0,
        keepDroppedTargets: 0,
        client: target.client,
        relabelRules: target.relabelRules,
        metricRelabelRules: [],
        discoveries: target.discoveries,
      }
      return target.discoveries.map((settings, i) => {
        const discovery = makeDiscovery(settings, world)
        discovery.start(groups => {
          this.#found.set(
            t * 1000 + i,
            makeTargets(job, groups).active.map(a =>
              remoteReceiver(a.url, client, target.timeoutMs, target.alertRelabelRules, {
                clock: world.clock,
                hasTenancy,
              }),
            ),
          )
          onChange([...this.#found.values()].flat())
        })
        return discovery
      })
    })
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#discoveries.map(d => d.stop()), ...this.#clients.map(c => c.close())])
  }
}

/** The groups of an object in a cluster. */
export interface OperatorRules {
  file: string
  text: string
  /** Undefined: whose the groups of files are. */
  tenant: string | undefined
}

export class Alerting implements RulesSource {
  readonly #options: AlertingOptions
  readonly #manager = new RuleManager()
  readonly notifier: Notifier
  #others: OtherAlertmanagers | undefined
  #othersText = ''
  #config: PrometheusConfig | undefined
  #fileGroups: readonly GroupSettings[] = []
  /** Groups of objects in a cluster. */
  #operatorRules: readonly OperatorRules[] = []
  /** Groups that were set through the API of a ruler. */
  #rulers: readonly Ruler[] = []
  #applying: Promise<void> = Promise.resolve()

  constructor(options: AlertingOptions) {
    this.#options = options
    this.notifier = new Notifier(options.world.log, options.world.clock, options.hasTenancy)
    this.notifier.receivers = options.own === undefined ? [] : [options.own]
  }

  /** Reads the rules, and goes by them from now on; what is wrong changes nothing. */
  async load(config: PrometheusConfig | undefined): Promise<void> {
    const { world, env, ruleFiles, own, discovery, hasTenancy } = this.#options
    // The check of all files before this has warned of what is missing.
    const missing = (): void => {}
    const groups = [
      ...(await loadRules(ruleFiles, world.files, resolve('.'), env, missing, hasTenancy)),
      ...(await loadRules(config?.ruleFiles ?? [], world.files, discovery.directory, env, missing, hasTenancy)),
    ]
    for (const { file, notes } of groups)
      for (const warning of notes) world.log.warn('rules ask for something that is not supported', { file, warning })
    this.notifier.externalLabels = config?.externalLabels ?? []
    this.notifier.relabelRules = config?.alertRelabelRules ?? []
    const text = identityOf(config?.alertmanagers ?? [], ['regex', 'memo'])
    if (text !== this.#othersText) {
      this.#othersText = text
      await this.#others?.stop()
      this.#others = new OtherAlertmanagers(config?.alertmanagers ?? [], discovery, hasTenancy, receivers => {
        this.notifier.receivers = [...(own === undefined ? [] : [own]), ...receivers]
      })
    }
    this.#config = config
    this.#fileGroups = groups
    await this.#apply()
  }

  /** Goes by all groups as they are now, after what is being applied. */
  #apply(): Promise<void> {
    this.#applying = this.#applying.then(() =>
      this.#manager.apply(
        [...this.#fileGroups, ...this.#operatorGroups(), ...this.#rulers.flatMap(ruler => ruler.settings())],
        group => this.#worldOf(group),
      ),
    )
    return this.#applying
  }

  setRulers(rulers: readonly Ruler[]): void {
    this.#rulers = rulers
  }

  /** Groups of a ruler have changed. */
  rulesChanged(): void {
    this.#apply().catch((error: unknown) => {
      this.#options.world.log.error('rules could not be applied', { error: messageOf(error) })
    })
  }

  #operatorGroups(): GroupSettings[] {
    return this.#operatorRules.flatMap(({ file, text, tenant }) => {
      try {
        if (tenant !== undefined) checkTenantName(tenant)
        return readRulesFile(text, file).map(group => ({ ...group, tenant }))
      } catch (error) {
        this.#options.world.log.warn('rules are left out', { object: file, error: messageOf(error) })
        return []
      }
    })
  }

  async setOperatorRules(rules: readonly OperatorRules[]): Promise<void> {
    if (JSON.stringify(rules) === JSON.stringify(this.#operatorRules)) return
    this.#operatorRules = rules
    await this.#apply()
  }

  #tenantsOf({ owner, tenant, sourceTenants }: GroupSettings): GroupTenants {
    const { hasTenancy, tenant: ofFiles } = this.#options
    const named = owner?.tenant ?? tenant ?? ofFiles
    if (!hasTenancy || (named === '' && sourceTenants.length === 0))
      return { own: defaultTenants.metrics, read: defaultRuleTenants }
    const read = sourceTenants.length === 0 ? [named] : sourceTenants
    return { own: named === '' ? defaultTenants.metrics : named, read: { metrics: read, logs: read, traces: read } }
  }

  #worldOf(group: GroupSettings): GroupWorld {
    const {
      world: { clock, log },
      appender,
      externalUrl,
      evaluate,
      metrics,
      deletedMs,
    } = this.#options
    const config = this.#config
    const { own: tenant, read: tenants } = this.#tenantsOf(group)
    return {
      clock,
      log,
      appender,
      tenant,
      externalUrl,
      externalLabels: config?.externalLabels ?? [],
      intervalMs: config?.evaluationIntervalMs ?? 60_000,
      queryOffsetMs: config?.ruleQueryOffsetMs ?? 0,
      query: (query, atMs) => evaluate(query, atMs, tenants),
      templateQuery: atMs => expr => evaluate({ language: 'promql', expr }, atMs, tenants),
      notify: (alerts: readonly Alert[]) => {
        if (alerts.length > 0) this.notifier.notify(alerts, tenant)
      },
      deletedMs: () => deletedMs(tenant),
      storedSince: (alertName, atMs, withinMs) => storedAlerts(metrics(tenant), alertName, atMs, withinMs),
    }
  }

  /** The groups of some tenants; without, those of all. */
  groups(tenants?: Scope['tenants']): GroupView[] {
    const isShown = ({ tenant }: RuleGroup): boolean => tenants === undefined || tenants.includes(tenant)
    return this.#manager.groups.filter(isShown).map(group => ({
      tenant: group.tenant,
      api: group.settings.owner?.api,
      name: group.settings.name,
      file: group.settings.file,
      intervalSeconds: group.intervalMs / 1000,
      limit: group.settings.limit,
      lastEvaluationMs: group.lastEvaluationMs,
      evaluationSeconds: group.evaluationSeconds,
      rules: group.rules.map(rule => ({
        type: rule.settings.kind,
        name: rule.settings.name,
        expr: rule.settings.expr,
        isPromql: rule.settings.language === 'promql',
        labels: rule.labels,
        annotations: rule.settings.annotations,
        forSeconds: rule.settings.forMs / 1000,
        keepFiringForSeconds: rule.settings.keepFiringForMs / 1000,
        state: rule.alertState,
        alerts: [...rule.active.values()].filter(a => a.state !== 'inactive'),
        ...rule.state,
      })),
    }))
  }

  alertmanagers(): { active: string[]; dropped: string[] } {
    return { active: this.notifier.receivers.map(r => maskUrl(r.url)), dropped: [] }
  }

  /** Ends what was begun; alerts that are on their way are sent first. */
  async stop(): Promise<void> {
    await this.#manager.stop()
    await this.notifier.stop()
    await this.#others?.stop()
  }
}
