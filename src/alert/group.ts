/**
 * Groups of rules: evaluated at their interval, one rule after the other; what they find is stored and sent. Source:
 * Prometheus' public documentation.
 */
import { outside, type Clock, type Timer } from '#core/clock.ts'
import { nextDueMs, timeOfRunMs } from '#core/due-time.ts'
import { BadDataError, messageOf } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import type { MetricsAppender } from '#metrics/append.ts'
import { Labels } from '#model/labels.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import type { ActiveAlert, Alert } from './alert.ts'
import type { GroupSettings } from './rules-file.ts'
import { Rule, type RuleContext, type RuleOutput } from './rules.ts'

/** What a group evaluates with and writes to. */
export interface GroupWorld extends RuleContext {
  clock: Clock
  log: Log
  appender: MetricsAppender
  tenant: string
  /** Sends alerts on; never throws. */
  notify: (alerts: readonly Alert[], tenant: string) => void
  /**
   * ALERTS_FOR_STATE as it is stored: since when each alert is active that was so at its last sample, and the time of
   * that. Undefined where nothing can be stored of before.
   */
  storedSince:
    | ((
        alertName: string,
        atMs: number,
        withinMs: number,
      ) => Promise<{ labels: Labels; activeMs: number; lastMs: number }[]>)
    | undefined
  intervalMs: number
  queryOffsetMs: number
  /**
   * When the deletion of the tenant was requested last: what was evaluated before is not stored behind it. Default:
   * never.
   */
  deletedMs?: () => number | undefined
}

const staleHi = 0x7ff00000
const staleLo = 2
const resendMs = 60_000
/** After a longer outage, alerts begin to wait from the start. */
const outageToleranceMs = 3_600_000
const forGraceMs = 600_000
/** What the first evaluation asks for may not have been scraped yet: state is restored after another one. */
const evaluationsBeforeRestore = 2

/** Rules that are evaluated together, one after the other, at the group's place in its interval. */
export class RuleGroup {
  readonly settings: GroupSettings
  readonly rules: Rule[]
  readonly #world: GroupWorld
  readonly #builder = new BatchBuilder()
  readonly intervalMs: number
  #timer: Timer | undefined
  #running: Promise<void> | undefined
  #isStopped = false
  #isRestored: boolean
  /** As of the last evaluation. */
  #deletedMs: number | undefined
  lastEvaluationMs = 0
  evaluationSeconds = 0
  evaluations = 0
  missed = 0
  failures = 0

  constructor(settings: GroupSettings, world: GroupWorld) {
    this.settings = settings
    this.#world = world
    this.#deletedMs = world.deletedMs?.()
    this.intervalMs = settings.intervalMs ?? world.intervalMs
    this.rules = settings.rules.map(rule => new Rule(rule, settings))
    this.#isRestored = world.storedSince === undefined
    for (const rule of this.rules) rule.isRestored = this.#isRestored
  }

  /** Takes alerts and series over from the group before a reload, for each rule that is the same. */
  adopt(before: RuleGroup): void {
    this.#isRestored = before.#isRestored
    for (const rule of this.rules) rule.isRestored = this.#isRestored
    const free = new Map<string, Rule[]>()
    const identity = (rule: Rule): string => JSON.stringify([rule.settings.kind, rule.settings.name, rule.labels])
    for (const rule of before.rules) free.set(identity(rule), [...(free.get(identity(rule)) ?? []), rule])
    for (const rule of this.rules) {
      const old = free.get(identity(rule))?.shift()
      if (old === undefined) continue
      for (const [key, alert] of old.active) rule.active.set(key, alert)
      rule.isRestored = old.isRestored
      rule.written = old.written
      old.written = new Map()
    }
  }

  start(): void {
    this.#arm(false)
  }

  #arm(isAfterRun: boolean): void {
    if (this.#isStopped) return
    const nowMs = this.#world.clock.nowMs()
    const due = nextDueMs(`${this.settings.file};${this.settings.name}`, this.intervalMs, nowMs)
    if (isAfterRun && this.lastEvaluationMs > 0)
      this.missed += Math.max(0, Math.round((due - this.lastEvaluationMs) / this.intervalMs) - 1)
    const { clock } = this.#world
    this.#timer = clock.after(due - nowMs, () => {
      this.#running = outside(clock, this.evaluate(timeOfRunMs(due, this.intervalMs, clock.nowMs()))).finally(() => {
        this.#running = undefined
        this.#arm(true)
      })
    })
  }

  /** Whose series and alerts it makes. */
  get tenant(): string {
    return this.#world.tenant
  }

  get queryOffsetMs(): number {
    return this.settings.queryOffsetMs ?? this.#world.queryOffsetMs
  }

  /**
   * Evaluates every rule at a moment; a rule that fails leaves its error in its state. What the rules store waits for
   * the log together: a rule waits only for those before it whose series it may read.
   */
  async evaluate(atMs: number): Promise<void> {
    const { clock } = this.#world
    const started = clock.monotonicMs()
    this.evaluations++
    if (this.#isDeleted) this.#beginAnew()
    const storing: { rule: Rule; stored: Promise<void> }[] = []
    for (const rule of this.rules) {
      if (this.#isStopped) break
      for (const earlier of storing) if (rule.mayRead(earlier.rule)) await earlier.stored
      const { stored } = await this.#evaluateRule(rule, atMs)
      storing.push({ rule, stored })
    }
    for (const { stored } of storing) await stored
    if (storing.length < this.rules.length) return
    if (!this.#isRestored && this.evaluations >= evaluationsBeforeRestore) await this.#restore()
    this.lastEvaluationMs = atMs
    this.evaluationSeconds = (clock.monotonicMs() - started) / 1000
  }

  /** Was the tenant deleted since the last evaluation began? */
  get #isDeleted(): boolean {
    return this.#world.deletedMs?.() !== this.#deletedMs
  }

  /** Series of the tenant as it was before end without staleness markers. */
  #beginAnew(): void {
    this.#deletedMs = this.#world.deletedMs?.()
    for (const rule of this.rules) rule.written = new Map()
  }

  /** Evaluates the rule; `stored` resolves when its samples are stored, or could not be. Neither rejects. */
  async #evaluateRule(rule: Rule, atMs: number): Promise<{ stored: Promise<void> }> {
    const { clock, notify } = this.#world
    const startedMs = clock.monotonicMs()
    try {
      const output = await rule.evaluate(atMs, this.queryOffsetMs, this.#world)
      if (this.#isDeleted) return { stored: Promise.resolve() }
      // Alerts go out also while nothing can be stored.
      if (rule.settings.kind === 'alerting')
        notify(
          rule.due(atMs, resendMs, this.intervalMs).map(a => this.#alertOf(rule, a)),
          this.tenant,
        )
      const stored = this.#store(rule, output, atMs - this.queryOffsetMs).then(
        () => {
          this.#noteEvaluated(rule, atMs, startedMs)
        },
        (error: unknown) => {
          this.#noteEvaluated(rule, atMs, startedMs, messageOf(error))
        },
      )
      return { stored }
    } catch (error) {
      this.#noteEvaluated(rule, atMs, startedMs, messageOf(error))
      return { stored: Promise.resolve() }
    }
  }

  #noteEvaluated({ state, settings }: Rule, atMs: number, startedMs: number, error?: string): void {
    const { clock, log } = this.#world
    state.health = error === undefined ? 'ok' : 'err'
    state.lastError = error ?? ''
    if (error !== undefined) {
      this.failures++
      log.warn('a rule could not be evaluated', {
        group: this.settings.name,
        file: this.settings.file,
        rule: settings.name,
        error,
      })
    }
    state.lastEvaluationMs = atMs
    state.evaluationSeconds = (clock.monotonicMs() - startedMs) / 1000
  }

  #graphUrl(expr: string): string {
    const base = this.#world.externalUrl.replace(/\/$/, '')
    return `${base}/graph?g0.expr=${encodeURIComponent(expr).replaceAll('%20', '+')}&g0.tab=1`
  }

  #alertOf(rule: Rule, alert: ActiveAlert): Alert {
    return {
      labels: alert.labels,
      annotations: alert.annotations,
      startsMs: alert.firedMs,
      endsMs: alert.resolvedMs > 0 ? alert.resolvedMs : alert.validUntilMs,
      generatorUrl: this.#graphUrl(rule.settings.expr),
    }
  }

  /**
   * Stores what a rule gave, with staleness markers for what it gives no more. What could not be stored is not noted as
   * written. Throws the error of the store, or says what it refused.
   */
  async #store(rule: Rule, output: readonly RuleOutput[], timeMs: number): Promise<void> {
    const builder = this.#builder
    builder.clear()
    const written = new Map<string, Labels>()
    for (const { labels, value, histogram } of output) {
      const series = builder.addSeries(labels)
      written.set(labels.key, labels)
      if (histogram === undefined) builder.batch.addSample(series, timeMs, value)
      else builder.batch.addHistogram(series, timeMs, 0, histogram)
    }
    let ended = 0
    for (const [key, labels] of rule.written)
      if (!written.has(key)) {
        builder.batch.addSampleWords(builder.addSeries(labels), timeMs, staleHi, staleLo)
        ended++
      }
    if (builder.batch.seriesCount === 0) return
    const { refusals } = builder.batch
    const { stored, refused, problems } = await this.#world.appender.append(this.#world.tenant, builder.batch)
    rule.written = written
    // A marker that comes too late for its series is no fault of the rule.
    if (refused + refusals.length <= (output.length === 0 ? ended : 0)) return
    throw new BadDataError(
      `${refused + refusals.length} of ${stored + refused + refusals.length} samples were refused; the first: ` +
        (problems[0]?.message ?? refusals[0]?.message ?? 'unknown'),
    )
  }

  /** Once, after the second evaluation: alerts get back the time that they waited before the restart. */
  async #restore(): Promise<void> {
    const { storedSince, clock, log } = this.#world
    const nowMs = clock.nowMs()
    try {
      for (const rule of this.rules) {
        if (rule.isRestored) continue
        const { kind, name, forMs } = rule.settings
        if (kind === 'alerting' && rule.active.size > 0 && forMs >= forGraceMs && storedSince !== undefined) {
          const stored = await storedSince(name, nowMs, outageToleranceMs)
          rule.restore(new Map(stored.map(({ labels, ...times }) => [labels.key, times])), nowMs, forGraceMs)
        }
        rule.isRestored = true
      }
      this.#isRestored = true
    } catch (error) {
      log.warn('the state of alerts before the restart is not known yet, it is asked for again', {
        group: this.settings.name,
        error: messageOf(error),
      })
    }
  }

  /** With `isGone` the group is removed: its series end with staleness markers. */
  async stop(isGone: boolean): Promise<void> {
    this.#isStopped = true
    this.#timer?.cancel()
    await this.#running
    if (!isGone) return
    const timeMs = Math.max(
      this.#world.clock.nowMs() - this.queryOffsetMs,
      this.lastEvaluationMs - this.queryOffsetMs + 1,
    )
    if (this.#isDeleted) return
    // Without markers the series end after the look-back.
    await Promise.allSettled(this.rules.map(rule => this.#store(rule, [], timeMs)))
  }
}
