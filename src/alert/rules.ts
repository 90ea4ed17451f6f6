/**
 * One rule at one moment: the series that a recording rule stores, the next state of every alert of an alerting rule.
 * Source: Prometheus' public documentation.
 */
import { ExecutionError, LimitError, messageOf } from '#core/errors.ts'
import type { FloatHistogram } from '#model/histogram.ts'
import { Labels } from '#model/labels.ts'
import type { ActiveAlert } from './alert.ts'
import { readMetrics, storedMetrics } from './rule-reads.ts'
import type { GroupSettings, RuleSettings } from './rules-file.ts'
import { expandTemplate, type TemplateQuery } from './template.ts'

/** One element of the answer to a rule's expression. */
export interface RuleSample {
  labels: Labels
  value: number
  histogram: FloatHistogram | undefined
}
/** A sample that a rule writes. */
export interface RuleOutput {
  labels: Labels
  value: number
  histogram?: FloatHistogram | undefined
}

/** What a rule is evaluated with. */
export interface RuleContext {
  /** Answers the rule's expression at a moment. */
  query: (rule: RuleSettings, atMs: number) => Promise<RuleSample[]>
  /** PromQL of templates. */
  templateQuery: (atMs: number) => TemplateQuery
  externalLabels: readonly (readonly [string, string])[]
  externalUrl: string
}

/** The outcome of a rule's last evaluation. */
export interface RuleState {
  health: 'unknown' | 'ok' | 'err'
  lastError: string
  lastEvaluationMs: number
  evaluationSeconds: number
}

/** A resolved alert is kept, and sent, this long. */
const resolvedRetentionMs = 15 * 60_000

function withLabels(labels: Labels, added: Iterable<readonly [string, string]>): Labels {
  return Labels.from([...labels.entries().filter(([name]) => name !== '__name__'), ...added])
}

/** A rule's own labels win over its group's. */
function ownLabels(group: GroupSettings, rule: RuleSettings): [string, string][] {
  return [...new Map([...group.labels, ...rule.labels])]
}

interface FoundAlert {
  labels: Labels
  annotations: Labels
  value: number
}

/** A rule of a group, with the alerts or series that its last evaluation left. */
export class Rule {
  readonly settings: RuleSettings
  readonly state: RuleState = { health: 'unknown', lastError: '', lastEvaluationMs: 0, evaluationSeconds: 0 }
  readonly labels: readonly [string, string][]
  /** By the key of their labels. */
  readonly active = new Map<string, ActiveAlert>()
  readonly #group: GroupSettings
  /** Undefined: it may read any. */
  readonly #reads: ReadonlySet<string> | undefined
  /**
   * Series that the last evaluation wrote, by key. A series that the next one does not write gets a staleness marker.
   */
  written = new Map<string, Labels>()
  /** Whether alerts have the state of before a restart. Until then none is written: it would be read back. */
  isRestored = true

  constructor(settings: RuleSettings, group: GroupSettings) {
    this.settings = settings
    this.#group = group
    this.labels = ownLabels(group, settings)
    this.#reads = readMetrics(settings, this.labels)
  }

  /** May the rule read what the other one stores? */
  mayRead(other: Rule): boolean {
    const reads = this.#reads
    return reads === undefined || storedMetrics(other.settings).some(metric => reads.has(metric))
  }

  get alertState(): 'inactive' | 'pending' | 'firing' {
    let state: 'inactive' | 'pending' | 'firing' = 'inactive'
    for (const alert of this.active.values()) {
      if (alert.state === 'firing') return 'firing'
      if (alert.state === 'pending') state = 'pending'
    }
    return state
  }

  /** Throws the error of an evaluation that fails; alerts stay as they were. */
  async evaluate(atMs: number, offsetMs: number, context: RuleContext): Promise<RuleOutput[]> {
    const samples = await context.query(this.settings, atMs - offsetMs)
    return this.settings.kind === 'recording' ? this.#record(samples) : this.#alert(samples, atMs, offsetMs, context)
  }

  #record(samples: readonly RuleSample[]): RuleOutput[] {
    const seen = new Set<string>()
    const out = samples.map((sample): RuleOutput => {
      const labels = withLabels(sample.labels, [...this.labels, ['__name__', this.settings.name]])
      if (seen.has(labels.key))
        throw new ExecutionError('vector contains metrics with the same labelset after applying rule labels')
      seen.add(labels.key)
      return { labels, value: sample.value, histogram: sample.histogram }
    })
    if (this.#group.limit > 0 && out.length > this.#group.limit)
      throw new LimitError(`exceeded limit of ${this.#group.limit} with ${out.length} series`, 422)
    return out
  }

  async #expand(source: string, sample: RuleSample, atMs: number, context: RuleContext): Promise<string> {
    try {
      return await expandTemplate(`__alert_${this.settings.name}`, source, {
        labels: sample.labels,
        value: sample.value,
        externalLabels: context.externalLabels,
        externalUrl: context.externalUrl,
        query: context.templateQuery(atMs),
        nowMs: atMs,
      })
    } catch (error) {
      return `<error expanding template: ${messageOf(error)}>`
    }
  }

  async #alert(
    samples: readonly RuleSample[],
    atMs: number,
    offsetMs: number,
    context: RuleContext,
  ): Promise<RuleOutput[]> {
    const found = await this.#findAlerts(samples, atMs - offsetMs, context)
    this.#followClock(atMs)
    this.#begin(found, atMs)
    const active = this.#advance(found, atMs)
    if (this.#group.limit > 0 && active > this.#group.limit) {
      this.active.clear()
      throw new LimitError(`exceeded limit of ${this.#group.limit} with ${active} alerts`, 422)
    }
    return this.series()
  }

  /** The alerts that the samples mean, by the key of their labels, with their templates expanded. */
  async #findAlerts(
    samples: readonly RuleSample[],
    atMs: number,
    context: RuleContext,
  ): Promise<Map<string, FoundAlert>> {
    const found = new Map<string, FoundAlert>()
    const expandAll = async (pairs: readonly [string, string][], sample: RuleSample): Promise<[string, string][]> => {
      const texts: [string, string][] = []
      for (const [name, source] of pairs) texts.push([name, await this.#expand(source, sample, atMs, context)])
      return texts
    }
    for (const sample of samples) {
      const own = await expandAll(this.labels, sample)
      const labels = withLabels(sample.labels, [...own, ['alertname', this.settings.name]])
      const annotations = Labels.from(await expandAll(this.settings.annotations, sample))
      if (found.has(labels.key))
        throw new ExecutionError('vector contains metrics with the same labelset after applying alert labels')
      found.set(labels.key, { labels, annotations, value: sample.value })
    }
    return found
  }

  /** Alerts that were not active become pending; the others get their new value and annotations. */
  #begin(found: ReadonlyMap<string, FoundAlert>, atMs: number): void {
    for (const [key, { labels, annotations, value }] of found) {
      const known = this.active.get(key)
      if (known !== undefined && known.state !== 'inactive') {
        known.value = value
        known.annotations = annotations
        continue
      }
      this.active.set(key, {
        labels,
        annotations,
        value,
        state: 'pending',
        activeMs: atMs,
        firedMs: 0,
        resolvedMs: 0,
        lastSentMs: 0,
        validUntilMs: 0,
        keepFiringSinceMs: 0,
      })
    }
  }

  /**
   * A clock that was set back left times that are not there yet: by them an alert would wait for hours to fire, to be
   * sent again, and to be sent as resolved.
   */
  #followClock(atMs: number): void {
    for (const alert of this.active.values()) {
      alert.activeMs = Math.min(alert.activeMs, atMs)
      alert.firedMs = Math.min(alert.firedMs, atMs)
      alert.resolvedMs = Math.min(alert.resolvedMs, atMs)
      alert.keepFiringSinceMs = Math.min(alert.keepFiringSinceMs, atMs)
      if (alert.lastSentMs > atMs) alert.lastSentMs = 0
    }
  }

  /** Moves every alert to its state at `atMs`; returns how many alerts are pending or firing. */
  #advance(found: ReadonlyMap<string, FoundAlert>, atMs: number): number {
    let active = 0
    for (const [key, alert] of this.active) {
      if (!found.has(key) && !this.#isKeptFiring(alert, atMs)) {
        this.#end(key, alert, atMs)
        continue
      }
      active++
      if (!found.has(key)) continue
      alert.keepFiringSinceMs = 0
      if (alert.state === 'pending' && atMs - alert.activeMs >= this.settings.forMs) {
        alert.state = 'firing'
        alert.firedMs = atMs
      }
    }
    return active
  }

  /** Whether `keep_firing_for` holds an alert whose expression no longer finds it. */
  #isKeptFiring(alert: ActiveAlert, atMs: number): boolean {
    const { keepFiringForMs } = this.settings
    if (alert.state !== 'firing' || keepFiringForMs === 0) return false
    if (alert.keepFiringSinceMs === 0) alert.keepFiringSinceMs = atMs
    return atMs - alert.keepFiringSinceMs < keepFiringForMs
  }

  /** A firing alert is resolved; a pending one, and one that was resolved long ago, is removed. */
  #end(key: string, alert: ActiveAlert, atMs: number): void {
    if (alert.state === 'pending' || (alert.resolvedMs !== 0 && atMs - alert.resolvedMs > resolvedRetentionMs)) {
      this.active.delete(key)
    } else if (alert.state !== 'inactive') {
      alert.state = 'inactive'
      alert.resolvedMs = atMs
    }
  }

  /** The two series of each alert that is not over; none before what was stored is restored. */
  series(): RuleOutput[] {
    const out: RuleOutput[] = []
    if (!this.isRestored) return out
    for (const { labels, state, activeMs } of this.active.values()) {
      if (state === 'inactive') continue
      out.push(
        {
          labels: withLabels(labels, [
            ['__name__', 'ALERTS'],
            ['alertstate', state],
          ]),
          value: 1,
        },
        { labels: withLabels(labels, [['__name__', 'ALERTS_FOR_STATE']]), value: Math.floor(activeMs / 1000) },
      )
    }
    return out
  }

  /**
   * After a restart: alerts that were active when the process ended keep the time that they had waited. `since`: by
   * the key of the labels, the moment since when an alert is active and the time of its last stored sample. A rule that
   * waits less than `graceMs` begins to wait anew: as Prometheus does.
   */
  restore(since: ReadonlyMap<string, { activeMs: number; lastMs: number }>, nowMs: number, graceMs: number): void {
    const { forMs } = this.settings
    if (forMs < graceMs) return
    for (const [key, alert] of this.active) {
      const stored = since.get(key)
      if (stored === undefined) continue
      const leftMs = forMs - (stored.lastMs - stored.activeMs)
      // It was firing when the process ended: it fires again at the next evaluation.
      if (leftMs <= 0) alert.activeMs = stored.activeMs
      // Nearly due: something may still arrive that was missed meanwhile.
      else if (leftMs < graceMs) alert.activeMs = nowMs + graceMs - forMs
      // The outage does not count.
      else alert.activeMs = stored.activeMs + nowMs - stored.lastMs
    }
  }

  /** Alerts that are to be sent now. */
  due(atMs: number, resendMs: number, intervalMs: number): ActiveAlert[] {
    const list: ActiveAlert[] = []
    for (const alert of this.active.values()) {
      if (alert.state === 'pending') continue
      const isDue = alert.resolvedMs > alert.lastSentMs || alert.lastSentMs + resendMs < atMs
      if (!isDue) continue
      alert.lastSentMs = atMs
      alert.validUntilMs = atMs + 4 * Math.max(intervalMs, resendMs)
      list.push(alert)
    }
    return list
  }
}
