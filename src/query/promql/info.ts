/** info(): adds the labels of info metrics (target_info by default) to the series of a vector. */
import { ExecutionError } from '#core/errors.ts'
import { metricName } from '#core/names.ts'
import { keyOfTexts } from '#core/text.ts'
import { unwrap, childrenOf, type Call, type Expr, type VectorSelector } from '#lang/promql/ast.ts'
import { Matcher } from '#lang/regex/matcher.ts'
import { sameLabelsetMessage } from './value.ts'
import { argumentOf, type Evaluation } from './evaluation.ts'
import { absent, isHistogram, Row, RowMerger, unitsOfRow } from './value.ts'

const identifying = ['instance', 'job'] as const

/** Info series themselves stay as they are. Throws ExecutionError where several info series fit one series. */
export async function evaluateInfo(evaluator: Evaluation, call: Call): Promise<Row[]> {
  const base = await evaluator.rows(argumentOf(call, 0))
  const selector = call.args.length > 1 ? unwrap(argumentOf(call, 1)) : undefined
  const given = selector?.kind === 'selector' ? selector.matchers : []
  const nameMatchers = given.filter(m => m.name === metricName)
  const dataMatchers = given.filter(m => m.name !== metricName)
  if (nameMatchers.length === 0) nameMatchers.push(Matcher.equal(metricName, 'target_info'))
  // Info series themselves pass through as they are; an explicit selector without a name still means target_info.
  const isInfo = (row: Row): boolean =>
    call.args.length > 1
      ? given.some(m => m.name === metricName && m.matches(row.labels.get(metricName)))
      : row.labels.get(metricName) === 'target_info'
  const { steps } = evaluator.grid
  const values = new Map<string, Set<string>>()
  for (const row of base) {
    if (isInfo(row)) continue
    for (const name of identifying) {
      const value = row.labels.get(name)
      if (value !== '') values.set(name, (values.get(name) ?? new Set()).add(value))
    }
  }
  const info =
    values.size === 0 ? [] : await fetchInfo(evaluator, argumentOf(call, 0), nameMatchers, dataMatchers, values)
  const merger = new RowMerger(steps)
  const { budget } = evaluator.context
  const byIdentity = new Map<string, Info[]>()
  for (const one of info) {
    const key = identityOf(one.row)
    const known = byIdentity.get(key)
    if (known === undefined) byIdentity.set(key, [one])
    else known.push(one)
    if (budget.worked(unitsOfRow)) await budget.pause()
  }
  for (const row of base) {
    if (isInfo(row)) {
      merger.add(row)
      continue
    }
    const candidates = byIdentity.get(identityOf(row)) ?? []
    if (budget.worked(unitsOfRow + steps * (1 + candidates.length))) await budget.pause()
    for (let step = 0; step < steps; step++) {
      if (row.present[step] === absent) continue
      const extra = labelsAt(candidates, row, dataMatchers, step)
      if (extra === undefined) continue
      let labels = row.labels
      for (const [name, value] of extra) labels = labels.with(name, value)
      const out = merger.row(labels, row.dropName)
      if (out.present[step] !== absent) throw new ExecutionError(sameLabelsetMessage)
      out.copyStep(row, step)
    }
  }
  return merger.rows
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

async function fetchInfo(
  evaluator: Evaluation,
  base: Expr,
  names: readonly Matcher[],
  data: readonly Matcher[],
  values: ReadonlyMap<string, ReadonlySet<string>>,
): Promise<Info[]> {
  const matchers = [...names, ...data]
  for (const [name, set] of values)
    matchers.push(new Matcher('=~', name, [...set].join('|'), value => set.has(value), [...set]))
  const model = firstSelector(base)
  const selector: VectorSelector = {
    kind: 'selector',
    name: '',
    matchers,
    offset: model?.offset,
    at: model?.at,
    modifier: undefined,
    from: base.from,
    to: base.to,
  }
  const times = await evaluator.selectInstant(selector, 'time')
  const rows = await evaluator.selectInstant(selector, false)
  return rows.map((row, i) => ({ row, times: times[i]! }))
}

function firstSelector(expr: Expr): VectorSelector | undefined {
  if (expr.kind === 'selector') return expr
  for (const child of childrenOf(expr)) {
    const found = firstSelector(child)
    if (found !== undefined) return found
  }
  return undefined
}

/** The labels to add at one step, or undefined where the series is to be left out. */
function labelsAt(
  candidates: readonly Info[],
  row: Row,
  data: readonly Matcher[],
  step: number,
): Map<string, string> | undefined {
  const latest = new Map<string, Info>()
  for (const info of candidates) {
    if (info.row.present[step] === absent) continue
    if (info.row.present[step] === isHistogram) throw new ExecutionError('info sample should be float')
    const name = info.row.labels.get(metricName)
    const known = latest.get(name)
    if (known !== undefined && known.times.values[step] === info.times.values[step])
      throw new ExecutionError(`found duplicate series for info metric ${name}`)
    if (known === undefined || known.times.values[step]! < info.times.values[step]!) latest.set(name, info)
  }
  const wanted = new Set(data.map(m => m.name))
  const extra = new Map<string, string>()
  for (const info of latest.values()) {
    const { pairs } = info.row.labels
    for (let i = 0; i < pairs.length; i += 2) {
      const name = pairs[i]!
      const value = pairs[i + 1]!
      if (name === metricName || (wanted.size > 0 && !wanted.has(name))) continue
      const known = extra.get(name)
      if (known !== undefined && known !== value) throw new ExecutionError(`conflicting label: ${name}`)
      if (!row.labels.has(name)) extra.set(name, value)
    }
  }
  if (extra.size === 0 && data.some(m => !m.matchesEmpty)) return undefined
  return extra
}
