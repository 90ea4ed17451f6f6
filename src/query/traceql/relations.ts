/**
 * Structural operators between the spans of one trace, by their nested set numbers: the numbers of a span enclose those
 * of all spans below it, and `parent` is the left number of the span above. Zero stands for a number that is not known.
 * Every operator takes the time of sorting its operands, whatever their sizes.
 */
import type { SpansetOp } from '#lang/traceql/ast.ts'

/** The nested set numbers of all spans of a table. */
export interface NestedSets {
  lefts: Float64Array
  rights: Float64Array
  parents: Float64Array
}

/** Spans by number, ascending. */
type Spans = readonly number[]
export type Join = (left: Spans, right: Spans) => number[]
type Test = (span: number) => boolean

/** How two spans relate: l to r by the operator's own words. */
type Relation = '>' | '<' | '>>' | '<<' | '~'

const relations: ReadonlySet<string> = new Set<Relation>(['>', '<', '>>', '<<', '~'])

function isRelation(text: string): text is Relation {
  return relations.has(text)
}

/** The join of a structural operator: spans of the right side, of both for `&`, those without a partner for `!`. */
export function joinByStructure(op: SpansetOp, sets: NestedSets): Join {
  const base = op.replace(/^[!&]/, '')
  const relation: Relation = isRelation(base) ? base : '~'
  const rightTest = (left: Spans): Test => partnerTest(relation, left, sets)
  if (op.startsWith('!'))
    return (left, right) => {
      const test = rightTest(left)
      return right.filter(r => !test(r))
    }
  if (op.startsWith('&'))
    return (left, right) =>
      mergeSpans(left.filter(partnerTest(mirrored[relation], right, sets)), right.filter(rightTest(left)))
  return (left, right) => right.filter(rightTest(left))
}

/** The relation as the right side sees it. */
const mirrored: Readonly<Record<Relation, Relation>> = { '>': '<', '<': '>', '>>': '<<', '<<': '>>', '~': '~' }

/** Whether any of `others` stands in the relation to a span: `other relation span`. */
function partnerTest(relation: Relation, others: Spans, sets: NestedSets): Test {
  switch (relation) {
    case '>':
      return belowTest(others, sets)
    case '<':
      return aboveTest(others, sets)
    case '>>':
      return enclosedTest(others, sets)
    case '<<':
      return enclosingTest(others, sets)
    default:
      return siblingTest(others, sets)
  }
}

/** One of the others is the parent. */
function belowTest(others: Spans, { lefts, parents }: NestedSets): Test {
  const above = new Set<number>()
  for (const o of others) if (isKnown(lefts[o]!)) above.add(lefts[o]!)
  return span => above.has(parents[span]!)
}

/** One of the others is a child. */
function aboveTest(others: Spans, { lefts, parents }: NestedSets): Test {
  const above = new Set<number>()
  for (const o of others) above.add(parents[o]!)
  return span => isKnown(lefts[span]!) && above.has(lefts[span]!)
}

/** One of the others begins before and ends behind. */
function enclosedTest(others: Spans, { lefts, rights }: NestedSets): Test {
  const known = others.filter(o => isKnown(lefts[o]!) && !Number.isNaN(rights[o]!))
  const { keys, order } = sortedBy(lefts, known)
  // The furthest end of all that begin up to each of them.
  const furthest = new Float64Array(order.length)
  let end = -Infinity
  for (let i = 0; i < order.length; i++) furthest[i] = end = Math.max(end, rights[order[i]!]!)
  return span => {
    const right = rights[span]!
    if (!isKnown(right)) return false
    const before = countBelow(keys, lefts[span]!)
    return before > 0 && furthest[before - 1]! > right
  }
}

/** One of the others begins behind and ends before. */
function enclosingTest(others: Spans, { lefts, rights }: NestedSets): Test {
  const known = others.filter(o => isKnown(rights[o]!) && !Number.isNaN(lefts[o]!))
  const { keys, order } = sortedBy(lefts, known)
  // The nearest end of all that begin at each of them or later.
  const nearest = new Float64Array(order.length)
  let end = Infinity
  for (let i = order.length - 1; i >= 0; i--) nearest[i] = end = Math.min(end, rights[order[i]!]!)
  return span => {
    const left = lefts[span]!
    if (!isKnown(left)) return false
    const behind = countThrough(keys, left)
    return behind < keys.length && nearest[behind]! < rights[span]!
  }
}

/** One of the others, but the span itself, has the same parent. */
function siblingTest(others: Spans, { parents }: NestedSets): Test {
  const counts = new Map<number, number>()
  const own = new Set(others)
  for (const o of others) if (isKnown(parents[o]!)) counts.set(parents[o]!, (counts.get(parents[o]!) ?? 0) + 1)
  return span => (counts.get(parents[span]!) ?? 0) > (own.has(span) ? 1 : 0)
}

function isKnown(number: number): boolean {
  return number !== 0 && !Number.isNaN(number)
}

/** Spans in the order of a number, and their numbers. */
function sortedBy(numbers: Float64Array, spans: Spans): { keys: Float64Array; order: Uint32Array } {
  const order = Uint32Array.from(spans).sort((a, b) => numbers[a]! - numbers[b]!)
  return { keys: Float64Array.from(order, o => numbers[o]!), order }
}

/** How many of the sorted keys are smaller; none for NaN. */
function countBelow(keys: Float64Array, key: number): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (keys[middle]! < key) low = middle + 1
    else high = middle
  }
  return low
}

/** How many of the sorted keys are not larger. */
function countThrough(keys: Float64Array, key: number): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (keys[middle]! <= key) low = middle + 1
    else high = middle
  }
  return low
}

/** Both lists as one, ascending, each span once. */
export function mergeSpans(a: Spans, b: Spans): number[] {
  const out: number[] = []
  let i = 0
  let k = 0
  while (i < a.length || k < b.length) {
    const left = i < a.length ? a[i]! : Infinity
    const right = k < b.length ? b[k]! : Infinity
    out.push(Math.min(left, right))
    if (left <= right) i++
    if (right <= left) k++
  }
  return out
}
