/**
 * Answers of range queries that are kept, step by step, for the next time that the same is asked: what a dashboard
 * asks again and again is evaluated where samples have changed alone. An answer that is put together from what was
 * kept is the one that an evaluation of all steps gives.
 */
import { ByteLru } from '#core/byte-lru.ts'
import type { Expr } from '#lang/promql/ast.ts'
import type { MetricsReader } from '#metrics/select.ts'
import type { Budget } from '../budget.ts'
import { reachOf } from './reach.ts'
import { absent, Row, unitsOfRow, type Grid } from './value.ts'

/** A query: what makes its answer another one, beside its steps, and what it works with. */
export interface KeptRequest {
  reader: MetricsReader
  budget: Budget
  query: string
  lookbackMs: number
  typeLabels: boolean
  startTimestamps: boolean
}

/** Texts that accompany an answer, with their places in the query. */
export interface Notes {
  warnings: readonly string[]
  infos: readonly string[]
}

const noNotes: Notes = { warnings: [], infos: [] }

interface KeptAnswer extends Steps {
  rows: readonly Row[]
  notes: Notes
  /** The notes are those of just these steps; else some may be of steps that are not among them any more. */
  isExact: boolean
  /** Nothing that it is made of has changed up to then (MetricsReader.changes). */
  version: number
}

type KeptSteps = Omit<KeptAnswer, 'version'>

/** Steps that follow each other. */
interface Steps {
  startMs: number
  intervalMs: number
  steps: number
}

/** What one answer may take of all that is kept. */
const partMax = 1 / 4
/** Bytes of an answer beside its texts and rows. */
const answerBytes = 1000
/** Bytes of a row beside its steps and the text of its labels. */
const rowBytes = 500
const stepBytes = 9
/** Rows that hold more memory than their own steps by this much are copied. */
const slack = 5 / 4

export class KeptAnswers {
  readonly #answers: ByteLru<KeptAnswer>
  readonly #answerBytesMax: number

  constructor(bytesMax: number) {
    this.#answers = new ByteLru(bytesMax)
    this.#answerBytesMax = bytesMax * partMax
  }

  /** Bytes that are kept. */
  get bytes(): number {
    return this.#answers.bytes
  }

  /** Lets go of all. */
  clear(): void {
    this.#answers.clear()
  }

  /** Finds what is kept of an answer; undefined where such answers are not kept. */
  async begin(request: KeptRequest, expr: Expr, grid: Grid): Promise<KeptRange | undefined> {
    const { reader, budget } = request
    const reachMs = reachOf(expr, request.lookbackMs)
    // Types and units of metrics may change at any time.
    if (reachMs === undefined || request.typeLabels || grid.steps < 2) return undefined
    const key = keyOf(request, grid)
    const known = this.#answers.get(key)
    // Asked before anything is read: what changes meanwhile counts as changed.
    const { version, fromMs, retainedMs } = await reader.changes(known?.version)
    const firstMs = retainedMs + reachMs
    const usable = known === undefined ? undefined : await part(known, firstMs, fromMs, budget)
    const keep = async (answer: KeptSteps): Promise<void> => {
      const lasting = await part({ ...answer, version }, firstMs, Infinity, budget)
      if (lasting === undefined) return
      const around = answerBytes + 2 * key.length + bytesOfNotes(lasting.notes)
      const packed = await packedRows(lasting, this.#answerBytesMax - around, budget)
      if (packed !== undefined) this.#answers.set(key, { ...lasting, rows: packed.rows }, around + packed.bytes)
    }
    return new KeptRange(grid, usable, keep, budget)
  }
}

function keyOf(
  { reader, query, lookbackMs, startTimestamps }: KeptRequest,
  { startMs, intervalMs }: Pick<Grid, 'startMs' | 'intervalMs'>,
): string {
  return JSON.stringify([reader.subject, query, intervalMs, mod(startMs, intervalMs), lookbackMs, startTimestamps])
}

function mod(a: number, b: number): number {
  return ((a % b) + b) % b
}

/** The steps of a kept answer at or after `fromMs` and before `beforeMs`; undefined where there are none. */
async function part(
  kept: KeptAnswer,
  fromMs: number,
  beforeMs: number,
  budget: Budget,
): Promise<KeptAnswer | undefined> {
  const { startMs, intervalMs, steps } = kept
  const first = Math.max(0, Math.ceil((fromMs - startMs) / intervalMs))
  const end = Math.min(steps, Math.ceil((beforeMs - startMs) / intervalMs))
  if (first >= end) return undefined
  if (first === 0 && end === steps) return kept
  const rows = await sliced(kept.rows, first, end, budget)
  const isExact = isEmpty(kept.notes)
  return { ...kept, startMs: startMs + first * intervalMs, steps: end - first, rows, isExact }
}

async function sliced(rows: readonly Row[], first: number, end: number, budget: Budget): Promise<Row[]> {
  const parts: Row[] = []
  for (const row of rows) {
    if (budget.worked(unitsOfRow)) await budget.pause()
    parts.push(row.part(first, end))
  }
  return parts
}

/**
 * The rows that have a sample at any step, and the bytes that they take: in memory of their own, unless hardly anything
 * else lies beside them in the memory where they were made. Undefined where they take more than `bytesMax`.
 */
export async function packedRows(
  { rows, steps }: Pick<KeptSteps, 'rows' | 'steps'>,
  bytesMax: number,
  budget: Budget,
): Promise<{ rows: readonly Row[]; bytes: number } | undefined> {
  const packed: Row[] = []
  const memory = new Set<ArrayBufferLike>()
  let bytes = 0
  let held = 0
  for (const row of rows) {
    if (budget.worked(unitsOfRow + steps)) await budget.pause()
    if (row.isEmpty) continue
    bytes += rowBytes + 2 * row.labels.key.length + stepBytes * steps
    if (bytes > bytesMax) return undefined
    packed.push(row)
    for (const { buffer } of [row.present, row.values]) {
      if (memory.has(buffer)) continue
      memory.add(buffer)
      held += buffer.byteLength
    }
  }
  if (bytes > bytesMax) return undefined
  return { rows: held > packed.length * steps * stepBytes * slack ? await copied(packed, budget) : packed, bytes }
}

/** The same in memory of their own. */
async function copied(rows: readonly Row[], budget: Budget): Promise<Row[]> {
  const copies: Row[] = []
  for (const row of rows) {
    if (budget.worked(unitsOfRow + row.values.length)) await budget.pause()
    const copy = new Row(row.labels, row.dropName, row.values.length)
    copySteps(row, copy, 0)
    copies.push(copy)
  }
  return copies
}

function bytesOfNotes({ warnings, infos }: Notes): number {
  return [...warnings, ...infos].reduce((sum, text) => sum + 2 * text.length, 0)
}

const endOf = ({ startMs, intervalMs, steps }: Steps): number => startMs + steps * intervalMs

function gridOf(startMs: number, beforeMs: number, intervalMs: number): Grid {
  const steps = Math.round((beforeMs - startMs) / intervalMs)
  return { startMs, intervalMs, steps, endMs: startMs + (steps - 1) * intervalMs }
}

/** The steps of one request: those that are kept, and those that are to be evaluated. */
export class KeptRange {
  readonly #grid: Grid
  readonly #budget: Budget
  /** Of these steps all are known; it touches or overlaps the request. */
  readonly #known: KeptAnswer | undefined
  readonly #keep: (answer: KeptSteps) => Promise<void>
  /** What is to be evaluated, the earliest first. */
  readonly missing: readonly Grid[]

  constructor(grid: Grid, known: KeptAnswer | undefined, keep: (answer: KeptSteps) => Promise<void>, budget: Budget) {
    this.#grid = grid
    this.#budget = budget
    this.#keep = keep
    const isNear = known !== undefined && known.startMs < endOf(grid) && endOf(known) > grid.startMs
    this.#known = isNear ? known : undefined
    this.missing = this.#missing()
  }

  /** Is a part of the answer known? */
  get isKnown(): boolean {
    return this.#known !== undefined
  }

  #missing(): Grid[] {
    const grid = this.#grid
    const known = this.#known
    if (known === undefined) return [grid]
    const missing: Grid[] = []
    const { intervalMs } = grid
    // One known step more: an evaluation of a single step may put series in another order, and add them up in it.
    if (grid.startMs < known.startMs) missing.push(gridOf(grid.startMs, known.startMs + intervalMs, intervalMs))
    if (endOf(grid) > endOf(known)) missing.push(gridOf(endOf(known) - intervalMs, endOf(grid), intervalMs))
    return missing
  }

  /**
   * Can what was missing, and has these notes, be put together with what is known? Not where it is open whether a note
   * of what is known belongs to the steps that were asked for.
   */
  fits(notes: Notes): boolean {
    const known = this.#known
    if (known === undefined) return true
    if (disagree(notes.warnings, known.notes.warnings) || disagree(notes.infos, known.notes.infos)) return false
    const isInside = known.startMs >= this.#grid.startMs && endOf(known) <= endOf(this.#grid)
    return (isInside && known.isExact) || includesAll(notes, known.notes)
  }

  /** As many as finish() makes at most, beside those that were found. */
  samplesOfJoin(found: readonly (readonly Row[])[]): number {
    const known = this.#known
    if (known === undefined || this.missing.length === 0) return 0
    const rows = found.reduce((sum, some) => sum + some.length, known.rows.length)
    return rows * this.#stepsOfJoin(known).steps
  }

  /**
   * The rows of the whole request, and what is to be said of them; `found` has a place for each piece that was missing,
   * and `notes` are those of all pieces. What is found is kept where it `isLasting`.
   */
  async finish(
    found: readonly (readonly Row[])[],
    notes: Notes,
    isLasting: boolean,
  ): Promise<{ rows: readonly Row[]; notes: Notes }> {
    const known = this.#known
    const all = joined(known?.notes ?? noNotes, notes)
    const whole = known === undefined ? { ...stepsOf(this.#grid), rows: found[0]! } : await this.#join(known, found)
    // Where nothing was missing, what is kept already says as much.
    if (isLasting && this.missing.length > 0 && whole.rows.every(row => row.histograms === undefined))
      await this.#keep(await this.#latest({ ...whole, notes: all, isExact: known?.isExact ?? true }))
    return { rows: await this.#asked(whole), notes: all }
  }

  /** The same request with nothing known. */
  anew(): KeptRange {
    return new KeptRange(this.#grid, undefined, this.#keep, this.#budget)
  }

  /** The steps that were asked for. */
  async #asked(of: Steps & { rows: readonly Row[] }): Promise<readonly Row[]> {
    const { startMs, intervalMs, steps } = this.#grid
    const first = Math.round((startMs - of.startMs) / intervalMs)
    return first === 0 && steps === of.steps ? of.rows : sliced(of.rows, first, first + steps, this.#budget)
  }

  #stepsOfJoin(known: Steps): Steps {
    const startMs = Math.min(this.#grid.startMs, known.startMs)
    const { intervalMs } = known
    const { steps } = gridOf(startMs, Math.max(endOf(this.#grid), endOf(known)), intervalMs)
    return { startMs, intervalMs, steps }
  }

  /** What was known and what was found, over all steps of both. */
  async #join(known: KeptAnswer, found: readonly (readonly Row[])[]): Promise<Steps & { rows: readonly Row[] }> {
    if (this.missing.length === 0) return known
    const { startMs, intervalMs, steps } = this.#stepsOfJoin(known)
    const rowOf = new Map<string, Row>()
    const add = async (rows: readonly Row[], fromMs: number): Promise<void> => {
      const first = Math.round((fromMs - startMs) / intervalMs)
      for (const row of rows) {
        let whole = rowOf.get(row.labels.key)
        if (whole === undefined) {
          this.#budget.take(steps)
          rowOf.set(row.labels.key, (whole = new Row(row.labels, false, steps)))
        }
        copySteps(row, whole, first)
        if (this.#budget.worked(unitsOfRow + row.values.length)) await this.#budget.pause()
      }
    }
    await add(known.rows, known.startMs)
    for (const [i, rows] of found.entries()) await add(rows, this.missing[i]!.startMs)
    return { startMs, intervalMs, steps, rows: [...rowOf.values()] }
  }

  /** The last steps of what was joined: no more than there were before, or were asked for. */
  async #latest(whole: KeptSteps): Promise<KeptSteps> {
    const steps = Math.max(this.#grid.steps, this.#known?.steps ?? 0)
    if (whole.steps <= steps) return whole
    const first = whole.steps - steps
    return {
      startMs: whole.startMs + first * whole.intervalMs,
      intervalMs: whole.intervalMs,
      steps,
      notes: whole.notes,
      isExact: isEmpty(whole.notes),
      rows: await sliced(whole.rows, first, whole.steps, this.#budget),
    }
  }
}

function isEmpty({ warnings, infos }: Notes): boolean {
  return warnings.length === 0 && infos.length === 0
}

function includesAll(notes: Notes, others: Notes): boolean {
  return (
    others.warnings.every(text => notes.warnings.includes(text)) &&
    others.infos.every(text => notes.infos.includes(text))
  )
}

/**
 * Is a text at one place of the query here and at another one there? Where it is found at several, an evaluation names
 * the last of them.
 */
function disagree(texts: readonly string[], others: readonly string[]): boolean {
  if (texts.length === 0 || others.length === 0) return false
  const known = new Set(others)
  const withoutPlace = new Set(others.map(text => text.replace(place, '')))
  return texts.some(text => !known.has(text) && withoutPlace.has(text.replace(place, '')))
}

/** As positionOf() says it. */
const place = / \(\d+:\d+\)$/

/** Each text once. */
function joined(first: Notes, second: Notes): Notes {
  return {
    warnings: [...new Set([...first.warnings, ...second.warnings])],
    infos: [...new Set([...first.infos, ...second.infos])],
  }
}

function stepsOf({ startMs, intervalMs, steps }: Grid): Steps {
  return { startMs, intervalMs, steps }
}

/** Copies all steps of a row of floats into a longer one, from a step of it on. */
function copySteps(from: Row, into: Row, first: number): void {
  if (from.histograms === undefined) {
    into.values.set(from.values, first)
    into.present.set(from.present, first)
    return
  }
  for (let step = 0; step < from.present.length; step++)
    if (from.present[step] !== absent) into.copyStep(from, step, first + step)
}
