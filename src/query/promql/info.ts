/** info(): adds the labels of info metrics (target_info by default) to the series of a vector. */
import { ExecutionError } from '#core/errors.ts'
import { metricName } from '#core/names.ts'
import { keyOfTexts } from '#core/text.ts'
import { makeMatcher } from '#lang/regex/regex.ts'
import { unwrap, childrenOf, type At, type Call, type Expr, type VectorSelector } from '#lang/promql/ast.ts'
import { Matcher } from '#lang/regex/matcher.ts'
import { sameLabelsetMessage } from './value.ts'
import { argumentOf, type Evaluation } from './evaluation.ts'
import { absent, asSet, isHistogram, Row, RowMerger, unitsOfRow } from './value.ts'

const identifying = ['instance', 'job'] as const

/**
 * Info series themselves stay as they are. Throws ExecutionError where several info series fit one series, or say
 * different things of it.
 */
export async function evaluateInfo(evaluator: Evaluation, call: Call): Promise<Row[]> {
  const base = await evaluator.rows(argumentOf(call, 0))
  const selector = call.args.length > 1 ? unwrap(argumentOf(call, 1)) : undefined
  const given = selector?.kind === 'selector' ? selector.matchers : []
  const names = nameMatchers(given.filter(m => m.name === metricName))
  const data = given.filter(m => m.name !== metricName)
  const isInfo = (row: Row): boolean => names.every(m => m.matches(row.labels.get(metricName)))
  const others = base.filter(row => !isInfo(row))
  const { steps } = evaluator.grid
  const { budget } = evaluator.context
  const info = await fetchInfo(evaluator, argumentOf(call, 0), others, [...names, ...data])
  const isNeeded = presenceOf(base, steps)
  const byIdentity = new Map<string, InfoMetric[]>()
  for (const metric of groupInfo(info)) {
    if (budget.worked(unitsOfRow + steps * metric.rows.length)) await budget.pause()
    metric.choose(isNeeded)
    const known = byIdentity.get(metric.identity)
    if (known === undefined) byIdentity.set(metric.identity, [metric])
    else known.push(metric)
  }
  const merger = new RowMerger(steps)
  for (const row of base) {
    if (isInfo(row)) {
      merger.add(row)
      continue
    }
    const metrics = byIdentity.get(identityOf(row)) ?? []
    if (budget.worked(unitsOfRow + steps * (1 + metrics.length))) await budget.pause()
    for (let step = 0; step < steps; step++) if (row.present[step] !== absent) enrich(row, metrics, data, step, merger)
  }
  return merger.rows
}

/** The matchers of the names of info metrics: whatever ends in _info where only some names are excluded. */
function nameMatchers(given: readonly Matcher[]): readonly Matcher[] {
  if (given.length === 0) return [Matcher.equal(metricName, 'target_info')]
  if (given.some(m => m.kind === '=' || m.kind === '=~')) return given
  return [makeMatcher('=~', metricName, '.+_info'), ...given]
}

/** At which steps any of the rows has a sample. */
function presenceOf(rows: readonly Row[], steps: number): Uint8Array {
  const presence = new Uint8Array(steps)
  for (const { present } of rows) for (let step = 0; step < steps; step++) presence[step]! |= present[step]!
  return presence
}

/** The labels by which info series and others find each other, as one text. */
function identityOf(row: Row): string {
  return keyOfTexts(identifying.map(name => row.labels.get(name)))
}

/** An info series and, at each step, the time of the sample that stands there. */
interface Info {
  row: Row
  times: Row
}

/** The series of one info metric that say something of one target: at each step the one with the latest sample. */
class InfoMetric {
  readonly identity: string
  readonly rows: Info[] = []
  /** The number of the series at each step, -1 where there is none. Filled where there are several. */
  #latest: Int32Array | undefined

  constructor(identity: string) {
    this.identity = identity
  }

  /** Finds the latest series at the steps where one is needed. Throws ExecutionError where two are as late. */
  choose(isNeeded: Uint8Array): void {
    if (this.rows.length < 2) return
    this.#latest = new Int32Array(isNeeded.length).fill(-1)
    for (let step = 0; step < isNeeded.length; step++)
      if (isNeeded[step] !== 0) this.#latest[step] = this.#latestAt(step)
  }

  #latestAt(step: number): number {
    let latest = -1
    for (const [i, { row, times }] of this.rows.entries()) {
      if (row.present[step] === absent) continue
      const known = this.rows[latest]
      if (known !== undefined && known.times.values[step] === times.values[step]) refuseSameTime(known, row, step)
      if (known === undefined || known.times.values[step]! < times.values[step]!) latest = i
    }
    return latest
  }

  at(step: number): Row | undefined {
    const row = this.rows[this.#latest === undefined ? 0 : this.#latest[step]!]?.row
    return row === undefined || row.present[step] === absent ? undefined : row
  }
}

function refuseSameTime(known: Info, row: Row, step: number): never {
  const atMs = Math.round(known.times.values[step]! * 1000)
  throw new ExecutionError(
    `found duplicate series for info metric: existing ${asSet(known.row.labels)} @ ${atMs}, ` +
      `new ${asSet(row.labels)} @ ${atMs}`,
  )
}

function groupInfo(info: readonly Info[]): Iterable<InfoMetric> {
  const metrics = new Map<string, InfoMetric>()
  for (const one of info) {
    const identity = identityOf(one.row)
    const key = keyOfTexts([one.row.labels.get(metricName), identity])
    let metric = metrics.get(key)
    if (metric === undefined) metrics.set(key, (metric = new InfoMetric(identity)))
    metric.rows.push(one)
  }
  return metrics.values()
}

/** The info series of the targets that the rows have. Throws ExecutionError for a histogram among them. */
async function fetchInfo(
  evaluator: Evaluation,
  base: Expr,
  rows: readonly Row[],
  given: readonly Matcher[],
): Promise<Info[]> {
  const values = new Map<string, Set<string>>()
  for (const row of rows) {
    for (const name of identifying) {
      const value = row.labels.get(name)
      if (value !== '') values.set(name, (values.get(name) ?? new Set()).add(value))
    }
  }
  if (values.size === 0) return []
  const matchers = [...given]
  for (const [name, set] of values)
    matchers.push(new Matcher('=~', name, [...set].join('|'), value => set.has(value), [...set]))
  const selector: VectorSelector = {
    kind: 'selector',
    name: '',
    matchers,
    ...placeOf(base),
    modifier: undefined,
    from: base.from,
    to: base.to,
  }
  const times = await evaluator.selectInstant(selector, 'time')
  const found = await evaluator.selectInstant(selector, false)
  for (const row of found)
    if (row.present.includes(isHistogram))
      throw new ExecutionError(`this should be an info metric, with float samples: ${asSet(row.labels)}`)
  return found.map((row, i) => ({ row, times: times[i]! }))
}

/**
 * When info series are looked at: as the first selector of the vector, with the offsets of the subqueries around it up
 * to one with an `@`.
 */
function placeOf(base: Expr): Pick<VectorSelector, 'at' | 'offset'> {
  const path = pathToSelector(base)
  let at: At | undefined
  let offsetMs = 0
  for (let i = path.length - 1; i >= 0 && at === undefined; i--) {
    const node = path[i]!
    if (node.kind !== 'selector' && node.kind !== 'subquery') continue
    offsetMs += node.offset?.ms ?? 0
    at = node.at
  }
  return { at, offset: { ms: offsetMs, expr: undefined } }
}

/** The first selector inside of an expression, and everything around it, outermost first. */
function pathToSelector(expr: Expr): Expr[] {
  if (expr.kind === 'selector') return [expr]
  for (const child of childrenOf(expr)) {
    const path = pathToSelector(child)
    if (path.length > 0) return [expr, ...path]
  }
  return []
}

/** Adds the sample of a row at one step, with its info series' labels; leaves it out where it has to have some. */
function enrich(
  row: Row,
  metrics: readonly InfoMetric[],
  data: readonly Matcher[],
  step: number,
  merger: RowMerger,
): void {
  const info = metrics.map(metric => metric.at(step)).filter(one => one !== undefined)
  if (info.length === 0 && data.some(m => !m.matchesEmpty)) return
  let { labels } = row
  for (const [name, value] of labelsToAdd(row, info, data)) labels = labels.with(name, value)
  const out = merger.row(labels, row.dropName)
  if (out.present[step] !== absent) throw new ExecutionError(sameLabelsetMessage)
  out.copyStep(row, step)
}

/** The labels of info series that the row lacks. Throws ExecutionError where two of them differ. */
function labelsToAdd(row: Row, info: readonly Row[], data: readonly Matcher[]): Map<string, string> {
  const wanted = new Set(data.map(m => m.name))
  const extra = new Map<string, string>()
  for (const { labels } of info) {
    const { pairs } = labels
    for (let i = 0; i < pairs.length; i += 2) {
      const name = pairs[i]!
      const value = pairs[i + 1]!
      if (name === metricName || (wanted.size > 0 && !wanted.has(name))) continue
      const known = extra.get(name)
      if (known !== undefined && known !== value) throw new ExecutionError(`conflicting label: ${name}`)
      if (!row.labels.has(name)) extra.set(name, value)
    }
  }
  return extra
}
