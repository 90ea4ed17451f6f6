/** Which alerts are withheld because others fire. Source of the rules: Alertmanager's public documentation. */
import { keyOfTexts } from '#core/text.ts'
import type { Labels } from '#model/labels.ts'
import type { InhibitRule } from './config.ts'
import { matchesAll } from './matchers.ts'
import type { ValueOf } from './routing.ts'
import type { ManagedAlert } from './store.ts'

/** Alerts by fingerprint. */
type Alerts = Map<string, ManagedAlert>

/** Sources of a rule with the same values of its `equal` labels. */
interface Sources {
  /** Those that match the target, too: they do not inhibit each other. */
  readonly both: Alerts
  readonly own: Alerts
}

/** A rule with the alerts that may inhibit others by it: each is looked at once, not once for each alert. */
class IndexedRule {
  readonly #rule: InhibitRule
  readonly #valueOf: ValueOf
  readonly #sources = new Map<string, Sources>()

  constructor(rule: InhibitRule, valueOf: ValueOf) {
    this.#rule = rule
    this.#valueOf = valueOf
  }

  #keyOf(labels: Labels): string {
    return keyOfTexts(this.#rule.equal.map(name => this.#valueOf(labels, name)))
  }

  #satisfies(matchers: InhibitRule['source'], labels: Labels): boolean {
    return matchesAll(matchers, name => this.#valueOf(labels, name))
  }

  add(alert: ManagedAlert): void {
    const { source, target } = this.#rule
    if (!this.#satisfies(source, alert.labels)) return
    const key = this.#keyOf(alert.labels)
    let sources = this.#sources.get(key)
    if (sources === undefined) this.#sources.set(key, (sources = { both: new Map(), own: new Map() }))
    const into = this.#satisfies(target, alert.labels) ? sources.both : sources.own
    into.set(alert.fingerprint, alert)
  }

  remove({ labels, fingerprint }: ManagedAlert): void {
    const key = this.#keyOf(labels)
    const sources = this.#sources.get(key)
    if (sources === undefined) return
    sources.both.delete(fingerprint)
    sources.own.delete(fingerprint)
    if (sources.both.size + sources.own.size === 0) this.#sources.delete(key)
  }

  /** The fingerprint of a firing alert that inhibits one. */
  inhibiting({ labels }: ManagedAlert, nowMs: number): string | undefined {
    const { source, target } = this.#rule
    if (this.#sources.size === 0 || !this.#satisfies(target, labels)) return undefined
    const sources = this.#sources.get(this.#keyOf(labels))
    if (sources === undefined) return undefined
    const found = firing(sources.own, nowMs)
    // An alert does not inhibit itself, nor alerts that match both sides as it does.
    if (found !== undefined || this.#satisfies(source, labels)) return found
    return firing(sources.both, nowMs)
  }
}

/** One that fires. Those that are over go: they come again when they are received again. */
function firing(alerts: Alerts, nowMs: number): string | undefined {
  for (const [fingerprint, { endsMs }] of alerts) {
    if (endsMs > nowMs) return fingerprint
    alerts.delete(fingerprint)
  }
  return undefined
}

export class Inhibition {
  readonly #rules: readonly IndexedRule[]

  constructor(
    rules: readonly InhibitRule[],
    alerts: Iterable<ManagedAlert>,
    valueOf: ValueOf = (labels, name) => labels.get(name),
  ) {
    this.#rules = rules.map(rule => new IndexedRule(rule, valueOf))
    for (const alert of alerts) this.add(alert)
  }

  /** Takes an alert in, or its newer form in place of an older one. */
  add(alert: ManagedAlert): void {
    for (const rule of this.#rules) rule.add(alert)
  }

  remove(alert: ManagedAlert): void {
    for (const rule of this.#rules) rule.remove(alert)
  }

  /** Fingerprints of the alerts that inhibit one, one a rule. */
  inhibiting(alert: ManagedAlert, nowMs: number): string[] {
    return this.#rules.flatMap(rule => rule.inhibiting(alert, nowMs) ?? [])
  }
}
