/** Binary operators between scalars and vectors, with label matching. */
import { assert } from '#core/assert.ts'
import { ExecutionError } from '#core/errors.ts'
import { metricName } from '#core/names.ts'
import { compareText, quote } from '#core/text.ts'
import { isComparison, isSet, type Binary, type BinaryOperator, type Matching } from '#lang/promql/ast.ts'
import { resetHint, type FloatHistogram } from '#model/histogram.ts'
import { Labels } from '#model/labels.ts'
import type { Annotations } from './annotations.ts'
import type { Budget } from '../budget.ts'
import { eachPiece, eachRow, type Evaluation } from './evaluation.ts'
import { pow } from './math.ts'
import { trim } from './trim.ts'
import {
  absent,
  asSet,
  isFloat,
  isHistogram,
  Row,
  RowMerger,
  RowRoom,
  sameLabelsetMessage,
  unitsOfRow,
  unitsOfStep,
  withoutMetadata,
  type Value,
} from './value.ts'

/** Throws ExecutionError where operands do not match. */
export async function evaluateBinary(evaluator: Evaluation, expr: Binary): Promise<Value> {
  const left = await evaluator.eval(expr.lhs)
  const right = await evaluator.eval(expr.rhs)
  const { steps } = evaluator.grid
  const { annotations, budget } = evaluator.context
  if (left.kind === 'scalar' && right.kind === 'scalar') {
    const values = new Float64Array(steps)
    for (let i = 0; i < steps; i++) values[i] = scalarOperation(expr.op, left.values[i]!, right.values[i]!)
    return { kind: 'scalar', values }
  }
  let rows: Row[]
  let before: number
  if (left.kind === 'vector' && right.kind === 'vector') {
    before = left.rows.length + right.rows.length
    rows = isSet(expr.op)
      ? await setOperation(expr, left.rows, right.rows, steps, budget)
      : await vectorOperation(expr, left.rows, right.rows, steps, annotations, budget)
  } else if (left.kind === 'vector' && right.kind === 'scalar') {
    before = left.rows.length
    rows = await withScalar(expr, left.rows, right.values, false, annotations, budget)
  } else if (left.kind === 'scalar' && right.kind === 'vector') {
    before = right.rows.length
    rows = await withScalar(expr, right.rows, left.values, true, annotations, budget)
  } else throw new ExecutionError(`operator ${expr.op} is not defined between ${left.kind} and ${right.kind}`)
  budget.give(before * steps)
  budget.take(rows.length * steps)
  await budget.pause()
  return { kind: 'vector', rows }
}

/** Does the operator make another quantity, so that the metric's name no longer fits? */
function changesMetric(op: BinaryOperator): boolean {
  return !isComparison(op) && !isSet(op) && op !== '</' && op !== '>/'
}

function compare(op: BinaryOperator, a: number, b: number): boolean {
  switch (op) {
    case '==':
      return a === b
    case '!=':
      return a !== b
    case '<':
      return a < b
    case '>':
      return a > b
    case '<=':
      return a <= b
    case '>=':
      return a >= b
    default:
      throw new ExecutionError(`${op} does not compare`)
  }
}

/** The arithmetic operators on numbers. */
function arithmetic(op: BinaryOperator, a: number, b: number): number {
  switch (op) {
    case '+':
      return a + b
    case '-':
      return a - b
    case '*':
      return a * b
    case '/':
      return a / b
    case '%':
      return a % b
    case '^':
      return pow(a, b)
    case 'atan2':
      return Math.atan2(a, b)
    default:
      throw new ExecutionError(`operator ${quote(op)} not allowed for Scalar operations`)
  }
}

function scalarOperation(op: BinaryOperator, a: number, b: number): number {
  return isComparison(op) ? Number(compare(op, a, b)) : arithmetic(op, a, b)
}

/** The answer of an operator for one step: a float or a histogram. `keep` is false where a comparison does not hold. */
interface Outcome {
  keep: boolean
  value: number
  histogram: FloatHistogram | undefined
  /** What is to be annotated. */
  note: Note
}
const outcome: Outcome = { keep: false, value: 0, histogram: undefined, note: 0 }

/** What was odd about two samples: 0 is nothing; the others are keys of `annotate`. */
type Note = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7

const annotate: Readonly<Record<Exclude<Note, 0>, (expr: Binary, annotations: Annotations) => void>> = {
  1: incompatible('float', 'float'),
  2: incompatible('float', 'histogram'),
  3: incompatible('histogram', 'float'),
  4: incompatible('histogram', 'histogram'),
  5: (expr, annotations) => {
    annotations.incompatibleLayout(expr.op, expr)
  },
  6: (expr, annotations) => {
    annotations.counterResetCollision(expr.op === '+' ? 'addition' : 'subtraction', expr)
  },
  7: (expr, annotations) => {
    annotations.mismatchedBounds(expr.op === '+' ? 'addition' : 'subtraction', expr)
  },
}

function incompatible(left: string, right: string): (expr: Binary, annotations: Annotations) => void {
  return (expr, annotations) => {
    annotations.incompatibleTypes(left, expr.op, right, expr)
  }
}

/** The notes of an operation: of those of one step only the one about the last sample counts. */
class StepNotes {
  readonly #steps: number
  #notes: Uint8Array | undefined
  #ranks: Int32Array | undefined

  constructor(steps: number) {
    this.#steps = steps
  }

  /** `rank`: the place of the sample among those of its step. */
  add(step: number, rank: number, note: Note): void {
    const notes = (this.#notes ??= new Uint8Array(this.#steps))
    const ranks = (this.#ranks ??= new Int32Array(this.#steps))
    if (notes[step] !== 0 && rank < ranks[step]!) return
    notes[step] = note
    ranks[step] = rank
  }

  annotate(expr: Binary, annotations: Annotations): void {
    for (const note of new Set(this.#notes) as Set<Note>) if (note !== 0) annotate[note](expr, annotations)
  }
}

/** Sets `outcome` from two samples. Returns false, with a note, where the operator has no meaning for them. */
function combine(
  expr: Binary,
  a: number,
  ah: FloatHistogram | undefined,
  b: number,
  bh: FloatHistogram | undefined,
): boolean {
  const { op } = expr
  outcome.histogram = undefined
  outcome.keep = true
  outcome.note = 0
  if (ah === undefined && bh === undefined) {
    if (op === '</' || op === '>/') return refuse(1)
    if (isComparison(op)) {
      outcome.keep = compare(op, a, b)
      outcome.value = a
    } else outcome.value = arithmetic(op, a, b)
    return true
  }
  if (ah === undefined) {
    if (bh === undefined || op !== '*') return refuse(2)
    outcome.histogram = bh.copy().scale(a).compact()
    return true
  }
  if (bh === undefined) {
    if (op === '*') outcome.histogram = ah.copy().scale(b).compact()
    else if (op === '/') outcome.histogram = ah.copy().divide(b).compact()
    else if (op === '</' || op === '>/') outcome.histogram = trim(ah, b, op === '</')
    else return refuse(3)
    return true
  }
  if (op === '==' || op === '!=') {
    outcome.histogram = ah
    outcome.keep = ah.equals(bh) === (op === '==')
    return true
  }
  if (op !== '+' && op !== '-') return refuse(4)
  const result = ah.copy()
  if (result.combine(bh, op === '+' ? 1 : -1) !== undefined) return refuse(5)
  if (result.collided) return refuse(6)
  if (result.reconciled) outcome.note = 7
  if (op === '-') result.hint = resetHint.gauge
  outcome.histogram = result.compact()
  return true
}

function refuse(note: Note): false {
  outcome.note = note
  return false
}

async function withScalar(
  expr: Binary,
  rows: Row[],
  scalars: Float64Array,
  swapped: boolean,
  annotations: Annotations,
  budget: Budget,
): Promise<Row[]> {
  const { op } = expr
  const renames = changesMetric(op) || expr.returnBool
  const steps = scalars.length
  const room = new RowRoom()
  const notes = new StepNotes(steps)
  const out: Row[] = []
  for (const [rank, row] of rows.entries()) {
    const result = new Row(row.labels, row.dropName || renames, steps, room)
    let any = false
    const working = eachPiece(steps, unitsOfStep(row), budget, (from, to) => {
      if (scalarSteps(expr, row, scalars, swapped, result, notes, rank, from, to)) any = true
    })
    if (working !== undefined) await working
    if (any) out.push(result)
    else room.giveBack(result)
  }
  notes.annotate(expr, annotations)
  return out
}

/** The steps [from, to) of a row and a scalar; whether the result has any of them. */
function scalarSteps(
  expr: Binary,
  row: Row,
  scalars: Float64Array,
  swapped: boolean,
  result: Row,
  notes: StepNotes,
  rank: number,
  from: number,
  to: number,
): boolean {
  const { op, returnBool } = expr
  const comparison = isComparison(op)
  let any = false
  for (let step = from; step < to; step++) {
    const present = row.present[step]
    if (present === absent) continue
    const scalar = scalars[step]!
    const value = row.values[step]!
    if (present === isFloat && op !== '</' && op !== '>/') {
      const a = swapped ? scalar : value
      const b = swapped ? value : scalar
      if (comparison) {
        const holds = compare(op, a, b)
        if (!holds && !returnBool) continue
        result.values[step] = returnBool ? Number(holds) : value
      } else result.values[step] = arithmetic(op, a, b)
      result.present[step] = isFloat
      any = true
      continue
    }
    const histogram = present === isHistogram ? row.histogramAt(step) : undefined
    const ok = swapped
      ? combine(expr, scalar, undefined, value, histogram)
      : combine(expr, value, histogram, scalar, undefined)
    if (outcome.note !== 0) notes.add(step, rank, outcome.note)
    if (!ok || (!outcome.keep && !returnBool)) continue
    any = true
    if (returnBool) result.setFloat(step, Number(outcome.keep))
    else if (outcome.histogram !== undefined) result.setHistogram(step, outcome.histogram)
    else result.setFloat(step, outcome.value)
  }
  return any
}

/** How the vectors of an operator match; the parser gives it to every operator between vectors. */
function matchingOf(expr: Binary): Matching {
  assert(expr.matching !== undefined, `${expr.op} between vectors was parsed without a matching`)
  return expr.matching
}

/** The labels that rows are matched by. */
function signature(matching: Matching): (labels: Labels) => Labels {
  if (matching.on) {
    const names = new Set(matching.labels)
    return labels => labels.keep(names)
  }
  const names = new Set([metricName, ...matching.labels])
  return labels => labels.drop(names)
}

async function setOperation(expr: Binary, left: Row[], right: Row[], steps: number, budget: Budget): Promise<Row[]> {
  const sign = signature(matchingOf(expr))
  const presence = async (rows: Row[]): Promise<Map<string, Uint8Array>> => {
    const bySignature = new Map<string, Uint8Array>()
    await eachRow(rows, budget, ({ labels, present }) => {
      const key = sign(labels).key
      let seen = bySignature.get(key)
      if (seen === undefined) {
        budget.takeBytes(steps)
        bySignature.set(key, (seen = new Uint8Array(steps)))
      }
      for (let step = 0; step < steps; step++) if (present[step] !== absent) seen[step] = 1
    })
    return bySignature
  }
  const merger = new RowMerger(steps)
  const room = new RowRoom()
  const nothing = new Uint8Array(steps)
  /** Adds the steps of the row where the mask has what is wanted. */
  const addMasked = (row: Row, mask: Uint8Array, wanted: 0 | 1): void => {
    const out = new Row(row.labels, row.dropName, steps, room)
    if (copyMasked(row, mask, wanted, out)) merger.add(out)
    else room.giveBack(out)
  }
  if (expr.op === 'or') {
    const onLeft = await presence(left)
    await eachRow(left, budget, row => {
      addMasked(row, nothing, 0)
    })
    await eachRow(right, budget, row => {
      addMasked(row, onLeft.get(sign(row.labels).key) ?? nothing, 0)
    })
    budget.giveBytes(onLeft.size * steps)
    return merger.rows
  }
  const onRight = await presence(right)
  const wanted = expr.op === 'and' ? 1 : 0
  await eachRow(left, budget, row => {
    addMasked(row, onRight.get(sign(row.labels).key) ?? nothing, wanted)
  })
  budget.giveBytes(onRight.size * steps)
  return merger.rows
}

/** Copies the steps of a row where the mask has what is wanted; whether there are any. */
function copyMasked(row: Row, mask: Uint8Array, wanted: 0 | 1, out: Row): boolean {
  const { present, values } = row
  let any = false
  for (let step = 0; step < mask.length; step++) {
    if (present[step] === absent || mask[step] !== wanted) continue
    any = true
    if (present[step] === isHistogram) out.copyStep(row, step)
    else {
      out.present[step] = isFloat
      out.values[step] = values[step]!
    }
  }
  return any
}

/** Rows that match one another: those of the "many" side and those of the "one" side. */
interface Group {
  labels: Labels
  many: Row[]
  one: Row[]
  /** The places of the rows on their sides. */
  manyAt: number[]
  oneAt: number[]
}

async function vectorOperation(
  expr: Binary,
  left: Row[],
  right: Row[],
  steps: number,
  annotations: Annotations,
  budget: Budget,
): Promise<Row[]> {
  const matching = matchingOf(expr)
  const swapped = matching.card === 'one-to-many'
  const sign = signature(matching)
  const groups = new Map<string, Group>()
  const group = (row: Row): Group => {
    const labels = sign(row.labels)
    let found = groups.get(labels.key)
    if (found === undefined) groups.set(labels.key, (found = { labels, many: [], one: [], manyAt: [], oneAt: [] }))
    return found
  }
  for (const [i, row] of (swapped ? left : right).entries()) {
    const found = group(row)
    found.one.push(row)
    found.oneAt.push(i)
    if (budget.worked(unitsOfRow)) await budget.pause()
  }
  for (const [i, row] of (swapped ? right : left).entries()) {
    const found = group(row)
    found.many.push(row)
    found.manyAt.push(i)
    if (budget.worked(unitsOfRow)) await budget.pause()
  }
  // As in the reference implementation, group_right does not change which of the values stands for the "one" side.
  const fillOne = matching.fillRight
  const fillMany = matching.fillLeft
  const ofManySide = swapped ? right : left
  const merger = new RowMerger(steps)
  const notes = new StepNotes(steps)
  for (const found of groups.values()) {
    if (budget.worked(unitsOfRow)) await budget.pause()
    if (found.one.length === 0 && fillOne === undefined) continue
    if (found.many.length === 0 && fillMany === undefined) {
      if (found.one.length > 1)
        await eachPiece(steps, found.one.length, budget, (from, to) => {
          for (let step = from; step < to; step++) presentOne(found, step, matching, ofManySide)
        })
      continue
    }
    const matched = new GroupMatch(expr, found, matching, { fillOne, fillMany, ofManySide, merger, notes })
    const working = eachPiece(steps, 4 * (found.many.length + found.one.length), budget, (from, to) => {
      matched.match(from, to)
    })
    if (working !== undefined) await working
  }
  notes.annotate(expr, annotations)
  return merger.rows.filter(row => !row.isEmpty)
}

/**
 * The one row on the "one" side that has a sample at this step. Throws ExecutionError where there are several, unless
 * nothing at all is there to match them at this step.
 */
function presentOne(group: Group, step: number, matching: Matching, ofManySide: readonly Row[]): Row | undefined {
  let found: Row | undefined
  for (const row of group.one) {
    if (row.present[step] === absent) continue
    if (found !== undefined) {
      const isFilled = matching.fillLeft !== undefined || matching.fillRight !== undefined
      if (isFilled || ofManySide.some(many => many.present[step] !== absent))
        refuseDuplicates(group, row, found, matching)
    }
    found = row
  }
  return found
}

function refuseDuplicates(group: Group, a: Row, b: Row, matching: Matching): never {
  const side = matching.card === 'one-to-many' ? 'left' : 'right'
  const both = [asSet(a.labels), asSet(b.labels)].sort(compareText)
  throw new ExecutionError(
    `found duplicate series for the match group ${asSet(group.labels)} on the ${side} hand-side of the ` +
      `operation: [${both.join(', ')}];many-to-many matching not allowed: matching labels must be unique on one side`,
  )
}

/** What the groups of one operation share. */
interface Matches {
  fillOne: number | undefined
  fillMany: number | undefined
  /** All rows of the "many" side, of every group. */
  ofManySide: readonly Row[]
  merger: RowMerger
  notes: StepNotes
}

/** Stands for a row of the "one" side where a value is filled in: only its being there is looked at. */
const filledOne = new Row(Labels.empty, false, 0)

/** The rows of one group, matched step by step. */
class GroupMatch {
  readonly #expr: Binary
  readonly #group: Group
  readonly #matching: Matching
  readonly #shared: Matches
  /** The result of the pair of rows that was asked for last, and those of all pairs where there is more than one. */
  #many: Row | undefined
  #one: Row | undefined
  #result: Row | undefined
  #results: Map<Row, Map<Row, Row>> | undefined
  #filledMany: Row | undefined
  /** Result rows whose comparison did not hold at this step: they may not be made a second time all the same. */
  readonly #dropped = new Set<Row>()

  constructor(expr: Binary, group: Group, matching: Matching, shared: Matches) {
    this.#expr = expr
    this.#group = group
    this.#matching = matching
    this.#shared = shared
  }

  /** The steps [from, to). Throws ExecutionError. */
  match(from: number, to: number): void {
    const { fillOne, fillMany, ofManySide, notes } = this.#shared
    const expr = this.#expr
    const { many: manies, one: ones } = this.#group
    const swapped = this.#matching.card === 'one-to-many'
    const oneToOne = this.#matching.card === 'one-to-one'
    const mayCoincide = !oneToOne && this.#matching.include.length > 0
    const single = ones.length === 1 ? ones[0] : undefined
    for (let step = from; step < to; step++) {
      const one =
        single === undefined
          ? presentOne(this.#group, step, this.#matching, ofManySide)
          : single.present[step] === absent
            ? undefined
            : single
      let matched = 0
      if (mayCoincide) this.#dropped.clear()
      for (let m = 0; m < manies.length; m++) {
        const many = manies[m]!
        if (many.present[step] === absent) continue
        if (one === undefined && fillOne === undefined) continue
        const a = many.values[step]!
        const ah = many.present[step] === isHistogram ? many.histogramAt(step) : undefined
        const b = one === undefined ? (fillOne ?? NaN) : one.values[step]!
        const bh = one !== undefined && one.present[step] === isHistogram ? one.histogramAt(step) : undefined
        const ok = swapped ? combine(expr, b, bh, a, ah) : combine(expr, a, ah, b, bh)
        if (outcome.note !== 0) notes.add(step, this.#group.manyAt[m]!, outcome.note)
        if (!ok) continue
        if (++matched > 1 && oneToOne)
          throw new ExecutionError(
            'multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)',
          )
        const isKept = outcome.keep || expr.returnBool
        if (!isKept && !mayCoincide) continue
        const result = this.#resultOf(many, one ?? filledOne)
        if (mayCoincide) this.#checkCoinciding(result, isKept, step)
        if (isKept) emit(expr, result, step, oneToOne)
      }
      if (matched === 0 && one !== undefined && fillMany !== undefined) this.#fill(one, fillMany, step)
    }
  }

  #checkCoinciding(row: Row, isKept: boolean, step: number): void {
    if (row.present[step] !== absent || this.#dropped.has(row)) refuseCoinciding(false)
    if (!isKept) this.#dropped.add(row)
  }

  /** A step at which the "many" side has no row, and gets a value. */
  #fill(one: Row, fillMany: number, step: number): void {
    const expr = this.#expr
    const { notes, ofManySide } = this.#shared
    const oneToOne = this.#matching.card === 'one-to-one'
    const b = one.values[step]!
    const bh = one.present[step] === isHistogram ? one.histogramAt(step) : undefined
    const ok =
      this.#matching.card === 'one-to-many'
        ? combine(expr, b, bh, fillMany, undefined)
        : combine(expr, fillMany, undefined, b, bh)
    const rank = ofManySide.length + this.#group.oneAt[this.#group.one.indexOf(one)]!
    if (outcome.note !== 0) notes.add(step, rank, outcome.note)
    if (!ok || (!outcome.keep && !expr.returnBool)) return
    const many = (this.#filledMany ??= new Row(this.#group.labels, false, 0))
    emit(expr, this.#resultOf(many, one), step, oneToOne)
  }

  #resultOf(many: Row, one: Row): Row {
    if (this.#result !== undefined && many === this.#many && one === this.#one) return this.#result
    const known = this.#results?.get(many)?.get(one)
    const result = known ?? this.#makeResult(many, one)
    this.#many = many
    this.#one = one
    this.#result = result
    return result
  }

  #makeResult(many: Row, one: Row): Row {
    const expr = this.#expr
    const result = this.#shared.merger.row(
      resultLabels(expr, many, one === filledOne ? this.#group.labels : one.labels),
      expr.returnBool || (!changesMetric(expr.op) && many.dropName),
    )
    this.#results ??= new Map()
    let byOne = this.#results.get(many)
    if (byOne === undefined) this.#results.set(many, (byOne = new Map()))
    byOne.set(one, result)
    return result
  }
}

function refuseCoinciding(oneToOne: boolean): never {
  throw new ExecutionError(
    oneToOne ? sameLabelsetMessage : 'multiple matches for labels: grouping labels must ensure unique matches',
  )
}

function emit(expr: Binary, row: Row, step: number, oneToOne: boolean): void {
  if (row.present[step] !== absent) refuseCoinciding(oneToOne)
  if (expr.returnBool) row.setFloat(step, Number(outcome.keep))
  else if (outcome.histogram !== undefined) row.setHistogram(step, outcome.histogram)
  else row.setFloat(step, outcome.value)
}

function resultLabels(expr: Binary, many: Row, one: Labels): Labels {
  const matching = matchingOf(expr)
  let labels = changesMetric(expr.op) ? withoutMetadata(many.labels) : many.labels
  if (matching.card === 'one-to-one') {
    const names = new Set(matching.labels)
    labels = matching.on ? labels.keep(names) : labels.drop(names)
  }
  for (const name of matching.include) labels = labels.with(name, one.get(name))
  return labels
}
