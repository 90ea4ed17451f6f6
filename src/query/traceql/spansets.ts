/** Spansets of one trace through the stages of a pipeline. Source of the rules: docs/traces.md (the language). */
import { ExecutionError } from '#core/errors.ts'
import { keyOfTexts } from '#core/text.ts'
import type { Aggregate, CompareOp, Field, FieldExpr, SpansetOp, Stage } from '#lang/traceql/ast.ts'
import { fieldsOf, compileCondition, compileValue, valuesReader, type SpanTest } from './evaluate.ts'
import { joinByStructure, mergeSpans, type Join } from './relations.ts'
import { firstChild, valueType, type SpanTable, type Value } from './span-table.ts'
import { bigOf, order, wholeOf } from './whole.ts'

/** Spans by number, ascending; attributes are results of by() and of aggregates. */
export interface Spanset {
  spans: readonly number[]
  attributes: readonly { key: string; value: Value | readonly Value[] | undefined }[]
}

type Step = (sets: readonly Spanset[], from: number, to: number) => Spanset[]

/** Fields that stages need to be evaluated. */
export function fieldsOfStages(stages: readonly Stage[], into: Field[] = []): Field[] {
  for (const stage of stages) {
    switch (stage.kind) {
      case 'filter':
        fieldsOf(stage.condition, into)
        break
      case 'combine': {
        fieldsOfStages(stage.left, into)
        fieldsOfStages(stage.right, into)
        if (stage.op !== '&&' && stage.op !== '||')
          for (const name of ['nestedSetLeft', 'nestedSetRight', 'nestedSetParent'] as const)
            into.push({ kind: 'intrinsic', name, text: name })
        break
      }
      case 'scalar-filter':
        fieldsOf(stage.aggregate.argument, into)
        break
      case 'by':
        fieldsOf(stage.expr, into)
        break
      default:
    }
  }
  return into
}

/** Runs the stages over the spans [from, to) of a trace. */
export function compileStages(stages: readonly Stage[], table: SpanTable): (from: number, to: number) => Spanset[] {
  const [first] = stages
  const isFiltered = first?.kind === 'filter'
  const test = isFiltered && first.condition !== undefined ? compileCondition(first.condition, table) : undefined
  const steps = (isFiltered ? stages.slice(1) : stages).map(stage => compileStage(stage, table))
  return (from, to) => {
    const spans = test === undefined ? range(from, to) : fitting(from, to, test)
    if (isFiltered && spans.length === 0) return []
    let sets: Spanset[] = [{ spans, attributes: [] }]
    for (const step of steps) {
      sets = step(sets, from, to)
      if (sets.length === 0) break
    }
    return sets.length > 1 ? sets.sort((a, b) => a.spans.at(-1)! - b.spans.at(-1)!) : sets
  }
}

function range(from: number, to: number): number[] {
  const list: number[] = []
  for (let i = from; i < to; i++) list.push(i)
  return list
}

function fitting(from: number, to: number, test: SpanTest): number[] {
  const list: number[] = []
  for (let i = from; i < to; i++) if (test(i, -1, -1)) list.push(i)
  return list
}

function compileStage(stage: Stage, table: SpanTable): Step {
  switch (stage.kind) {
    case 'filter': {
      const test = compileCondition(stage.condition, table)
      return sets => filtered(sets, test)
    }
    case 'combine':
      return compileCombine(stage.op, stage.left, stage.right, table)
    case 'scalar-filter':
      return compileScalar(stage, table)
    case 'by':
      return compileBy(stage.expr, stage.text, table)
    case 'coalesce':
      return sets =>
        sets.length === 0
          ? []
          : [{ spans: [...new Set(sets.flatMap(s => s.spans))].sort((a, b) => a - b), attributes: [] }]
    default:
      return sets => [...sets]
  }
}

function filtered(sets: readonly Spanset[], test: SpanTest): Spanset[] {
  const out: Spanset[] = []
  for (const { spans, attributes } of sets) {
    const kept = spans.filter(i => test(i, -1, -1))
    if (kept.length > 0) out.push({ spans: kept, attributes })
  }
  return out
}

function compileCombine(op: SpansetOp, left: readonly Stage[], right: readonly Stage[], table: SpanTable): Step {
  const join = joinOf(op, table)
  const needsBoth = op === '&&' && isSingle(right)
  const findLeft = compileStages(left, table)
  const findRight = compileStages(right, table)
  return (sets, from, to) => {
    // Both sides search the whole trace; stages before the operator narrow what they find.
    const one = (found: Spanset[]): readonly number[] => {
      if (found.length > 1)
        throw new ExecutionError(`the operator ${op} joins single spansets: put coalesce() behind by()`)
      return found[0]?.spans ?? []
    }
    const allowed =
      sets.length === 1 && sets[0]!.spans.length === to - from ? undefined : new Set(sets.flatMap(s => s.spans))
    const narrowed = (spans: readonly number[]): readonly number[] =>
      allowed === undefined ? spans : spans.filter(i => allowed.has(i))
    const l = narrowed(one(findLeft(from, to)))
    if (l.length === 0 && needsBoth) return []
    const r = narrowed(one(findRight(from, to)))
    const spans = join(l, r)
    return spans.length === 0 ? [] : [{ spans, attributes: [] }]
  }
}

/** Whether the stages find one spanset at most, whatever the spans are. */
function isSingle(stages: readonly Stage[]): boolean {
  return stages.every(({ kind }) => kind === 'filter' || kind === 'scalar-filter')
}

function joinOf(op: SpansetOp, table: SpanTable): Join {
  if (op === '&&') return (left, right) => (left.length === 0 || right.length === 0 ? [] : mergeSpans(left, right))
  if (op === '||') return mergeSpans
  const column = (name: 'nestedSetLeft' | 'nestedSetRight' | 'nestedSetParent'): Float64Array =>
    table.column({ kind: 'intrinsic', name, text: name }).num
  return joinByStructure(op, {
    lefts: column('nestedSetLeft'),
    rights: column('nestedSetRight'),
    parents: column('nestedSetParent'),
  })
}

/** Comparisons of numbers by their operator. */
export const comparisons = {
  '=': (a, b) => a === b,
  '!=': (a, b) => a !== b,
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
  // Regular expressions don't compare numbers: the parser refuses them.
  '=~': () => false,
  '!~': () => false,
} satisfies Record<CompareOp, (a: number, b: number) => boolean>

function compileScalar(
  { aggregate, op, value: constant, digits }: Stage & { kind: 'scalar-filter' },
  table: SpanTable,
): Step {
  const read = aggregate.argument === undefined ? undefined : compileValue(aggregate.argument, table)
  const fits = comparisons[op]
  return sets => {
    const out: Spanset[] = []
    for (const { spans, attributes } of sets) {
      const value = aggregated(aggregate, spans, read)
      if (value !== undefined && fits(order(value.num, value.text, constant, digits), 0))
        out.push({ spans, attributes: [...attributes, { key: aggregate.text, value }] })
    }
    return out
  }
}

const isWhole = (type: number): boolean => type === valueType.int || type === valueType.duration

function aggregated(
  aggregate: Aggregate,
  spans: readonly number[],
  read: ((i: number) => Value | undefined) | undefined,
): Value | undefined {
  if (read === undefined) return { type: valueType.int, num: spans.length, text: '' }
  let count = 0
  let sum = 0
  // The same, exactly, as long as all are whole numbers.
  let whole = 0n
  let best: Value | undefined
  let type: number = valueType.int
  for (const i of spans) {
    const value = read(i)
    if (value === undefined) continue
    const num = value.type === valueType.string ? NaN : value.num
    type = count === 0 || type === value.type ? value.type : valueType.float
    count++
    sum += num
    if (aggregate.name === 'sum' && isWhole(type)) whole += bigOf(value)
    const than = best === undefined ? 0 : order(num, value.text, best.num, best.text)
    if (best === undefined || (aggregate.name === 'min' ? than < 0 : than > 0)) best = value
  }
  if (count === 0) return undefined
  if (aggregate.name === 'min' || aggregate.name === 'max') return best
  if (aggregate.name === 'sum' && Math.abs(sum) > Number.MAX_SAFE_INTEGER && isWhole(type))
    return { type, ...wholeOf(whole) }
  const num = aggregate.name === 'avg' ? sum / count : sum
  return {
    type: aggregate.name === 'avg' && type === valueType.int ? valueType.float : type,
    num: type === valueType.duration ? Math.trunc(num) : num,
    text: '',
  }
}

function compileBy(expr: FieldExpr, text: string, table: SpanTable): Step {
  const read = groupReader(expr, table)
  const keys = new GroupKeys()
  return sets =>
    sets.flatMap(({ spans, attributes }) => {
      const groups = new Map<GroupKey, { value: Value | readonly Value[] | undefined; spans: number[] }>()
      for (const i of spans) {
        const value = read(i)
        const key = keys.of(value)
        const group = groups.get(key)
        if (group === undefined) groups.set(key, { value, spans: [i] })
        else group.spans.push(i)
      }
      return [...groups.values()].map(group => ({
        spans: group.spans,
        attributes: [...attributes, { key: `by(${text})`, value: group.value }],
      }))
    })
}

/** A text, an object that stands for another value, or undefined for none. */
type GroupKey = string | object | undefined

/** Equal keys for equal values. A text is its own key; none is made for the others. */
class GroupKeys {
  /** By type and number. */
  readonly #numbers: (Map<number, object> | undefined)[] = []
  readonly #others = new Map<string, object>()

  of(value: Value | readonly Value[] | undefined): GroupKey {
    if (value === undefined) return undefined
    if (isList(value)) return known(this.#others, keyOfTexts(value.map(textOf)))
    if (value.type === valueType.string) return value.text
    if (value.text !== '') return known(this.#others, textOf(value))
    return known((this.#numbers[value.type] ??= new Map<number, object>()), value.num)
  }
}

function textOf({ type, num, text }: Value): string {
  return `${type} ${num} ${text}`
}

function known<T>(keys: Map<T, object>, of: T): object {
  let key = keys.get(of)
  if (key === undefined) keys.set(of, (key = {}))
  return key
}

function isList(value: Value | readonly Value[]): value is readonly Value[] {
  return Array.isArray(value)
}

/** What spans are grouped by: an array is a group of its own. */
function groupReader(expr: FieldExpr, table: SpanTable): (i: number) => Value | readonly Value[] | undefined {
  const read = compileValue(expr, table)
  if (expr.kind !== 'field') return read
  const values = valuesReader(table, expr.field)
  return i => {
    const single = read(i)
    if (single !== undefined) return single
    const list = values(i, firstChild(table.eventFrom, i), firstChild(table.linkFrom, i))
    return list.length > 1 ? list : undefined
  }
}
