/**
 * One rule at one moment: what a recording rule stores, and what becomes of the alerts of an alerting rule. Source:
 * Prometheus' public documentation.
 */
import { ExecutionError, LimitError, messageOf } from '#core/errors.ts'
import type { FloatHistogram } from '#model/histogram.ts'
import { Labels } from '#model/labels.ts'
import type { ActiveAlert } from './alert.ts'
import type { GroupSettings, RuleSettings } from './rules-file.ts'
import { expandTemplate, type TemplateQuery } from './template.ts'

export interface RuleSample {
  labels: Labels
  value: number
  histogram: FloatHistogram | undefined
}
/** What a rule writes. */
export interface RuleOutput {
  labels: Labels
  value: number
  histogram?: FloatHistogram | undefined
}

export interface RuleContext {
  /** Answers the rule's expression at a moment. */
  query: (rule: RuleSettings, atMs: number) => Promise<RuleSample[]>
  /** PromQL of templates. */
  templateQuery: (atMs: number) => TemplateQuery
  externalLabels: readonly (readonly [string, string])[]
  externalUrl: string
}

export interface RuleState {
  health: 'unknown' | 'ok' | 'err'
  lastError: string
  lastEvaluationMs: number
  evaluationSeconds: number
}

/** A resolved alert is kept, and sent, for so long. */
const resolvedRetentionMs = 15 * 60_000

function withLabels(labels: Labels, added: Iterable<readonly [string, string]>): Labels {
  const all: [string, string][] = []
  for (let i = 0; i < labels.pairs.length; i += 2)
    if (labels.pairs[i] !== '__name__') all.push([labels.pairs[i]!, labels.pairs[i + 1]!])
  return Labels.from([...all, ...added])
}

/** A rule's own labels win over its group's. */
function ownLabels(group: GroupSettings, rule: RuleSettings): [string, string][] {
  return [...new Map([...group.labels, ...rule.labels])]
}

export class Rule {
  readonly settings: RuleSettings
  readonly state: RuleState = { health: 'unknown', lastError: '', lastEvaluationMs: 0, evaluationSeconds: 0 }
  readonly labels: readonly [string, string][]
  /** By the key of their labels. */
  readonly active = new Map<string, ActiveAlert>()
  readonly #group: GroupSettings
  /** What the last evaluation wrote: series that end are marked. */
  written = new Map<string, Labels>()
  isRestored = false

  constructor(settings: RuleSettings, group: GroupSettings) {
    this.settings = settings
    this.#group = group
    this.labels = ownLabels(group, settings)
  }

  get alertState(): 'inactive' | 'pending' | 'firing' {
    let state: 'inactive' | 'pending' | 'firing' = 'inactive'
    for (const alert of this.active.values()) {
      if (alert.state === 'firing') return 'firing'
      if (alert.state === 'pending') state = 'pending'
    }
    return state
  }

  /** Throws what the evaluation failed for; alerts stay as they were then. */
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
    const { forMs, keepFiringForMs, name, annotations } = this.settings
    const found = new Map<string, { labels: Labels; annotations: Labels; value: number }>()
    for (const sample of samples) {
      const own: [string, string][] = []
      for (const [label, source] of this.labels)
        own.push([label, await this.#expand(source, sample, atMs - offsetMs, context)])
      const labels = withLabels(sample.labels, [...own, ['alertname', name]])
      const texts: [string, string][] = []
      for (const [annotation, source] of annotations)
        texts.push([annotation, await this.#expand(source, sample, atMs - offsetMs, context)])
      if (found.has(labels.key))
        throw new ExecutionError('vector contains metrics with the same labelset after applying alert labels')
      found.set(labels.key, { labels, annotations: Labels.from(texts), value: sample.value })
    }
    let firing = 0
    for (const [key, { labels, annotations: texts, value }] of found) {
      const known = this.active.get(key)
      if (known !== undefined && known.state !== 'inactive') {
        known.value = value
        known.annotations = texts
        continue
      }
      this.active.set(key, {
        labels,
        annotations: texts,
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
    for (const [key, alert] of this.active) {
      if (!found.has(key)) {
        if (alert.state === 'firing' && keepFiringForMs > 0) {
          if (alert.keepFiringSinceMs === 0) alert.keepFiringSinceMs = atMs
          if (atMs - alert.keepFiringSinceMs < keepFiringForMs) {
            firing++
            continue
          }
        }
        if (alert.state === 'pending' || (alert.resolvedMs !== 0 && atMs - alert.resolvedMs > resolvedRetentionMs)) {
          this.active.delete(key)
          continue
        }
        if (alert.state !== 'inactive') {
          alert.state = 'inactive'
          alert.resolvedMs = atMs
        }
        continue
      }
      firing++
      alert.keepFiringSinceMs = 0
      if (alert.state === 'pending' && atMs - alert.activeMs >= forMs) {
        alert.state = 'firing'
        alert.firedMs = atMs
      }
    }
    if (this.#group.limit > 0 && firing > this.#group.limit) {
      this.active.clear()
      throw new LimitError(`exceeded limit of ${this.#group.limit} with ${firing} alerts`, 422)
    }
    return this.series()
  }

  /** The two series of each alert that is not over. */
  series(): RuleOutput[] {
    const out: RuleOutput[] = []
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
   * Alerts after a restart: those that were active when the process ended have the time that they waited then.
   * `since`: by the key of the labels, the moment that the stored series tells and when it told it last.
   */
  restore(since: ReadonlyMap<string, { activeMs: number; toldMs: number }>, nowMs: number, graceMs: number): void {
    for (const [key, alert] of this.active) {
      const stored = since.get(key)
      if (stored === undefined) continue
      const waitedMs = stored.toldMs - stored.activeMs
      const leftMs = this.settings.forMs - waitedMs
      if (leftMs <= 0) alert.activeMs = stored.activeMs
      // Nearly due: something may still arrive that was missed meanwhile.
      else if (leftMs < graceMs) alert.activeMs = nowMs + graceMs - this.settings.forMs
      else alert.activeMs = stored.activeMs + nowMs - stored.toldMs
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
