/**
 * The reader of a scope. Constraints are added to the matchers of every selector, whatever query or list they come
 * from; of several tenants, each series says whose it is.
 */
import { JoinedOmissions, type Omissions } from '#core/omissions.ts'
import type { Scope } from '#core/scope.ts'
import { compareText } from '#core/text.ts'
import { chooseTenants, matchersOf, originalTenantLabel, tenantLabel } from '#lang/regex/constraint.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import { compareLabels, type Labels } from '#model/labels.ts'
import type { SampleColumns } from '#model/sample-columns.ts'
import { labelsOfTenant } from '#model/tenant-labels.ts'
import type { MetricsReader, ReadChanges, SeriesSet } from './select.ts'

interface Readers {
  reader(tenant: string): MetricsReader
}

/** Reads what is in the scope, and nothing else. */
export function scopedMetrics(store: Readers, { tenants, labels }: Scope): MetricsReader {
  const constraint = matchersOf(labels)
  const parts = tenants.map(tenant => {
    const reader = store.reader(tenant)
    return { tenant, reader: constraint.length === 0 ? reader : new ConstrainedReader(reader, constraint) }
  })
  return parts.length === 1 ? parts[0]!.reader : new JoinedReader(parts)
}

class ConstrainedReader implements MetricsReader {
  readonly #inner: MetricsReader
  readonly #constraint: readonly Matcher[]
  readonly subject: string

  constructor(inner: MetricsReader, constraint: readonly Matcher[]) {
    this.#inner = inner
    this.#constraint = constraint
    this.subject = JSON.stringify([inner.subject, ...constraint.map(({ kind, name, value }) => [name, kind, value])])
  }

  get omissions(): Omissions {
    return this.#inner.omissions
  }
  readonly damaged: MetricsReader['damaged'] = () => this.#inner.damaged()
  readonly changes: MetricsReader['changes'] = since => this.#inner.changes(since)
  readonly select: MetricsReader['select'] = (matchers, fromMs, throughMs) =>
    this.#inner.select(this.#within(matchers), fromMs, throughMs)
  readonly series: MetricsReader['series'] = (matchers, fromMs, throughMs) =>
    this.#inner.series(this.#within(matchers), fromMs, throughMs)
  readonly labelNames: MetricsReader['labelNames'] = (matchers, ...rest) =>
    this.#inner.labelNames(this.#within(matchers), ...rest)
  readonly labelValues: MetricsReader['labelValues'] = (name, matchers, ...rest) =>
    this.#inner.labelValues(name, this.#within(matchers), ...rest)

  #within(matchers: readonly Matcher[]): readonly Matcher[] {
    return [...matchers, ...this.#constraint]
  }
}

interface Part {
  readonly tenant: string
  readonly reader: MetricsReader
}

class JoinedReader implements MetricsReader {
  readonly #parts: readonly Part[]
  readonly subject: string
  readonly omissions: Omissions

  constructor(parts: readonly Part[]) {
    this.#parts = parts
    this.subject = JSON.stringify(parts.map(({ reader }) => reader.subject))
    this.omissions = new JoinedOmissions(parts.map(({ reader }) => reader.omissions))
  }

  readonly damaged: MetricsReader['damaged'] = () => this.#parts.flatMap(({ reader }) => reader.damaged())

  /** The versions of several tenants are no version: all may have changed. */
  readonly changes: MetricsReader['changes'] = (): Promise<ReadChanges> =>
    Promise.resolve({ version: 0, fromMs: -Infinity, retainedMs: -Infinity })

  readonly select: MetricsReader['select'] = async (matchers, fromMs, throughMs) => {
    const { chosen, rest } = chooseTenants(this.#parts, matchers)
    const sets = await Promise.all(
      chosen.map(async ({ tenant, reader }) => ({ tenant, set: await reader.select(rest, fromMs, throughMs) })),
    )
    return new JoinedSeries(sets)
  }

  readonly series: MetricsReader['series'] = async (matchers, fromMs, throughMs) => {
    const { chosen, rest } = chooseTenants(this.#parts, matchers)
    const found = await Promise.all(
      chosen.map(async ({ tenant, reader }) =>
        (await reader.series(rest, fromMs, throughMs)).map(labels => ofTenant(labels, tenant)),
      ),
    )
    return found.flat()
  }

  readonly labelNames: MetricsReader['labelNames'] = async (matchers, fromMs, throughMs, limit) => {
    const { chosen, rest } = chooseTenants(this.#parts, matchers)
    const found = await Promise.all(chosen.map(({ reader }) => reader.labelNames(rest, fromMs, throughMs, limit)))
    const names = found.flat()
    if (names.length === 0) return []
    const hasOriginal = names.includes(tenantLabel)
    return sorted([...names, tenantLabel, ...(hasOriginal ? [originalTenantLabel] : [])], limit)
  }

  readonly labelValues: MetricsReader['labelValues'] = async (name, matchers, fromMs, throughMs, limit) => {
    const { chosen, rest } = chooseTenants(this.#parts, matchers)
    if (name !== tenantLabel) {
      const own = name === originalTenantLabel ? tenantLabel : name
      const found = await Promise.all(
        chosen.map(({ reader }) => reader.labelValues(own, rest, fromMs, throughMs, limit)),
      )
      return sorted(found.flat(), limit)
    }
    const tenants: string[] = []
    for (const { tenant, reader } of chosen)
      if ((await reader.labelNames(rest, fromMs, throughMs, 1)).length > 0) tenants.push(tenant)
    return sorted(tenants, limit)
  }
}

/** The labels of a series of one of several tenants. */
export function ofTenant(labels: Labels, tenant: string): Labels {
  return labelsOfTenant(labels, tenant, tenantLabel, originalTenantLabel)
}

function sorted(texts: readonly string[], limit = Infinity): string[] {
  const each = [...new Set(texts)].sort(compareText)
  return each.length > limit ? each.slice(0, limit) : each
}

/** The series of several sets, in the order of their labels. */
class JoinedSeries implements SeriesSet {
  readonly #sets: readonly SeriesSet[]
  readonly labels: readonly Labels[]
  /** Of each series: its set, and its place there. */
  readonly #setOf: Int32Array
  readonly #placeOf: Int32Array

  constructor(parts: readonly { readonly tenant: string; readonly set: SeriesSet }[]) {
    this.#sets = parts.map(({ set }) => set)
    const all = parts.flatMap(({ tenant, set }, at) =>
      set.labels.map((labels, place) => ({ labels: ofTenant(labels, tenant), at, place })),
    )
    all.sort((a, b) => compareLabels(a.labels, b.labels))
    this.labels = all.map(({ labels }) => labels)
    this.#setOf = Int32Array.from(all, ({ at }) => at)
    this.#placeOf = Int32Array.from(all, ({ place }) => place)
  }

  async load(from: number, to: number): Promise<void> {
    await Promise.all(
      this.#sets.map((set, at) => {
        let first = Infinity
        let end = 0
        for (let i = from; i < to; i++) {
          if (this.#setOf[i] !== at) continue
          first = Math.min(first, this.#placeOf[i]!)
          end = Math.max(end, this.#placeOf[i]! + 1)
        }
        return end === 0 ? undefined : set.load(first, end)
      }),
    )
  }

  read(i: number, into: SampleColumns): void {
    this.#sets[this.#setOf[i]!]!.read(this.#placeOf[i]!, into)
  }

  release(): void {
    for (const set of this.#sets) set.release()
  }
}
