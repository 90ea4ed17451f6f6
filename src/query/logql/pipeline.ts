/**
 * A compiled pipeline, and how it runs over the lines of a block: the bytes are searched first, and only lines that
 * can pass become text.
 */
import { findLines } from '#codec/line-search.ts'
import { TemplateAllowance } from '#lang/gotemplate/allowance.ts'
import type { Grouping, LogExpr, Stage, Unwrap } from '#lang/logql/ast.ts'
import { readPairs, type Lines } from '#logs/select.ts'
import type { Labels } from '#model/labels.ts'
import type { Budget } from '../budget.ts'
import { Entry, errorLabel } from './entry.ts'
import { compileLabelFilter, filterNames, singleName, type EntryTest } from './label-filter.ts'
import { labelName } from './json-line.ts'
import { compileStage, stageNames, type StageContext, type Step } from './stages.ts'
import { isNumberAlone } from './stored-numbers.ts'
import { templateFunctions } from './template-functions.ts'

/** Lines in [from, to): whole milliseconds and nanoseconds within. */
export interface TimeBounds {
  fromMs: number
  fromSubNs: number
  toMs: number
  toSubNs: number
}

/** How a metric query uses a pipeline. */
export interface MetricUse {
  grouping: Grouping | undefined
  unwrap: Unwrap | undefined
  hasNoLabels: boolean
  readsLine: boolean
}

/** Structured metadata of a chunk: each combination of symbols is looked up once. */
class ChunkMetadata {
  readonly #symbols: readonly string[]
  readonly #byKey = new Map<number | string, readonly string[]>()

  constructor(symbols: readonly string[]) {
    this.#symbols = symbols
  }

  pairs(lines: Lines, i: number): readonly string[] {
    const { bytes } = lines
    const from = lines.pairsFrom[i]!
    const to = lines.pairsTo[i]!
    const length = to - from
    if (length === 0 || bytes[from] === 0) return none
    let key: number | string = 0
    if (length <= 5) for (let at = from; at < to; at++) key = (key as number) * 256 + bytes[at]!
    else key = Buffer.from(bytes.buffer, bytes.byteOffset + from, length).toString('latin1')
    const known = this.#byKey.get(key)
    if (known !== undefined) return known
    // Names are normalised where they are read, as in the reference system.
    const pairs = readPairs(lines, i, this.#symbols).map((text, p) => (p % 2 === 0 ? labelName(text) : text))
    if (this.#byKey.size < 4096) this.#byKey.set(key, pairs)
    return pairs
  }
}

const none: readonly string[] = []
const metadataOf = new WeakMap<readonly string[], ChunkMetadata>()

function metadataFor(symbols: readonly string[]): ChunkMetadata {
  let metadata = metadataOf.get(symbols)
  if (metadata === undefined) metadataOf.set(symbols, (metadata = new ChunkMetadata(symbols)))
  return metadata
}

/** Which lines of a block a scan reads, and who gets them. */
export interface ScanUse {
  bounds: TimeBounds
  isBackward: boolean
  isExcluded: ((i: number) => boolean) | undefined
  /** Returns false to stop. */
  visit: (entry: Entry, i: number) => boolean
}

/** Units of work (Budget.worked) of a line beside its bytes, and of a step of a template. */
const unitsOfLine = 32
const unitsOfStep = 8

/** Numbers of lines: of a list, or all from `first` to before `end`; forward or backward. */
class LineList {
  readonly #list: ArrayLike<number> | undefined
  readonly #first: number
  readonly #isBackward: boolean
  readonly count: number

  constructor(list: ArrayLike<number> | undefined, first: number, end: number, isBackward: boolean) {
    this.#list = list
    this.#first = first
    this.#isBackward = isBackward
    this.count = list === undefined ? end - first : list.length
  }

  line(at: number): number {
    const k = this.#isBackward ? this.count - 1 - at : at
    return this.#list === undefined ? this.#first + k : this.#list[k]!
  }
}

/** The stages of a query, compiled once and run over every line. */
export class Pipeline {
  readonly entry = new Entry()
  readonly #steps: readonly Step[]
  readonly #afterUnwrap: EntryTest[]
  readonly #allowance: TemplateAllowance
  /** The filter by which blocks are searched, and its place among the steps. */
  readonly #search: LineSearch | undefined
  /** Texts that a line must contain as it is stored. */
  readonly needles: readonly Uint8Array[]
  /** Do its stages look at labels and metadata alone? Then lines that have the same pass alike. */
  readonly readsLabelsOnly: boolean
  linesSeen = 0
  bytesSeen = 0
  linesPassed = 0

  /** `budget`: of the query that the pipeline belongs to; its templates look at it while they run. */
  constructor(log: LogExpr, metric: MetricUse | undefined, nowMs: () => number, budget?: Budget) {
    this.#allowance = new TemplateAllowance(() => budget?.check())
    let stages = reorder(log.stages)
    const functions = templateFunctions(this.entry, nowMs)
    if (metric !== undefined && !metric.readsLine) stages = withoutIdleFormats(stages)
    const context: StageContext = {
      entry: this.entry,
      functions,
      allowance: this.#allowance,
      wanted: metric === undefined ? undefined : wantedNames(stages, metric, functions),
      number: numberOf(stages, metric),
      early: earlyFilters(stages, metric),
      passesErrors: metric === undefined || !(metric.hasNoLabels || metric.grouping?.isWithout === false),
    }
    const steps: Step[] = []
    const searches: LineSearch[] = []
    let isStored = true
    for (const stage of stages) {
      const { step, lineFilter } = compileStage(stage, context)
      if (lineFilter?.needle !== undefined && isStored)
        searches.push({
          needle: lineFilter.needle,
          step: steps.length,
          isWhole: lineFilter.isNeedle,
          isFolded: lineFilter.isFolded,
        })
      if (stage.kind === 'line-format' || stage.kind === 'decolorize' || stage.kind === 'unpack') isStored = false
      steps.push(step)
    }
    this.needles = searches.filter(s => !s.isFolded).map(s => s.needle)
    const leading = searches.filter(s => stages.slice(0, s.step).every(st => st.kind === 'line-filter'))
    this.#search = leading.reduce<(typeof leading)[number] | undefined>(
      (a, b) => (a === undefined || b.needle.length > a.needle.length ? b : a),
      undefined,
    )
    // The step that the search has answered already is left out.
    this.#steps = steps.filter((_, i) => this.#search?.isWhole !== true || i !== this.#search.step)
    this.readsLabelsOnly = stages.every(readsLabelsOnly)
    this.#afterUnwrap = (metric?.unwrap?.filters ?? []).map(compileLabelFilter)
  }

  /** Forgets what its templates have cost: a tail runs for an hour, and each line counts on its own. */
  restart(): void {
    this.#allowance.restart()
  }

  /** Is every line passed on as it is? */
  get isEmpty(): boolean {
    return this.#steps.length === 0 && this.#search === undefined
  }

  /**
   * Calls `visit` with the entry of every line that passes, by its number; in order of time, or backwards. `visit`
   * returns false to stop. Lines for which `isExcluded` is true are left out first. For blocks of few lines: it does
   * not
   * yield.
   */
  scan(base: Labels, lines: Lines, symbols: readonly string[], use: ScanUse): boolean {
    const run = this.#runner(base, lines, symbols, use)
    const list = this.#linesOf(lines, use)
    for (let at = 0; at < list.count; at++) if (!run(list.line(at))) return false
    return true
  }

  /** As `scan`, and lets other work run between lines. Throws what `pause` of the budget throws. */
  async scanPaced(
    base: Labels,
    lines: Lines,
    symbols: readonly string[],
    use: ScanUse,
    budget: Budget,
  ): Promise<boolean> {
    const run = this.#runner(base, lines, symbols, use)
    const list = this.#linesOf(lines, use)
    for (let at = 0; at < list.count;) {
      at = this.#runSome(run, list, lines, at, budget)
      if (at < 0) return false
      await budget.pause()
    }
    return true
  }

  /** Runs lines from the one at `at` on until it is time to look at the clock: the next place, -1 to stop. */
  #runSome(run: (i: number) => boolean, list: LineList, lines: Lines, at: number, budget: Budget): number {
    const { lineFrom, lineTo } = lines
    const allowance = this.#allowance
    let { steps } = allowance
    while (at < list.count) {
      const i = list.line(at++)
      if (!run(i)) return -1
      const units = unitsOfLine + lineTo[i]! - lineFrom[i]! + unitsOfStep * (allowance.steps - steps)
      steps = allowance.steps
      if (budget.worked(units)) break
    }
    return at
  }

  /** Runs one line through the steps; false when `visit` wants no more. */
  #runner(base: Labels, lines: Lines, symbols: readonly string[], use: ScanUse): (i: number) => boolean {
    const metadata = metadataFor(symbols)
    const { entry } = this
    const { isExcluded, visit } = use
    const steps = this.#steps
    return i => {
      if (isExcluded?.(i) === true) return true
      entry.reset(
        base,
        lines.bytes,
        lines.lineFrom[i]!,
        lines.lineTo[i]!,
        lines.timesMs[i]!,
        lines.subNs[i]!,
        metadata.pairs(lines, i),
      )
      for (let s = 0; s < steps.length; s++) if (!steps[s]!(entry)) return true
      this.linesPassed++
      return visit(entry, i)
    }
  }

  /** The lines that have to be looked at, in the order in which they are wanted. */
  #linesOf(lines: Lines, { bounds, isBackward }: ScanUse): LineList {
    const first = lowerBound(lines, bounds.fromMs, bounds.fromSubNs)
    const end = lowerBound(lines, bounds.toMs, bounds.toSubNs)
    if (first >= end) return new LineList(undefined, 0, 0, false)
    this.linesSeen += end - first
    this.bytesSeen += lines.lineTo[end - 1]! - lines.lineFrom[first]!
    if (this.#search !== undefined) return new LineList(candidates(lines, first, end, this.#search), 0, 0, isBackward)
    return new LineList(undefined, first, end, isBackward)
  }

  /**
   * Calls `visit` with every line of the time and the list of its metadata, without making an entry: only when the
   * pipeline is empty.
   */
  scanPlain(
    lines: Lines,
    symbols: readonly string[],
    bounds: TimeBounds,
    isExcluded: ((i: number) => boolean) | undefined,
    visit: (i: number, pairs: readonly string[]) => void,
  ): void {
    const metadata = metadataFor(symbols)
    const first = lowerBound(lines, bounds.fromMs, bounds.fromSubNs)
    const end = lowerBound(lines, bounds.toMs, bounds.toSubNs)
    if (first >= end) return
    this.linesSeen += end - first
    this.linesPassed += end - first
    this.bytesSeen += lines.lineTo[end - 1]! - lines.lineFrom[first]!
    for (let i = first; i < end; i++) if (isExcluded?.(i) !== true) visit(i, metadata.pairs(lines, i))
  }

  /**
   * The entry of a line that has this metadata, where it passes; undefined where it does not. Only for a pipeline that
   * reads labels only: the line itself is not there.
   */
  entryOf(base: Labels, pairs: readonly string[]): Entry | undefined {
    const { entry } = this
    entry.reset(base, noBytes, 0, 0, 0, 0, pairs)
    for (const step of this.#steps) if (!step(entry)) return undefined
    return entry
  }

  /** Filters behind the unwrap. */
  passesUnwrap(entry: Entry): boolean {
    return this.#afterUnwrap.every(test => test(entry))
  }
}

const noBytes = new Uint8Array(0)

function readsLabelsOnly(stage: Stage): boolean {
  switch (stage.kind) {
    case 'label-filter':
    case 'drop':
    case 'keep':
      return true
    case 'label-format':
      return stage.formats.every(({ from }) => from !== undefined)
    default:
      return false
  }
}

/** A text that lines are searched for, instead of running the step that looks for it where `isWhole`. */
interface LineSearch {
  needle: Uint8Array
  step: number
  isWhole: boolean
  /** The needle is in small letters, and lines have it in any. */
  isFolded: boolean
}

/** Lines of [first, end) that contain the needle. */
function candidates(lines: Lines, first: number, end: number, { needle, isFolded }: LineSearch): ArrayLike<number> {
  const found = findLines(lines, first, end, needle, isFolded)
  if (found !== undefined) return found
  // Of long lines, or a long needle.
  const all: number[] = []
  for (let i = first; i < end; i++) if (hasNeedle(lines, i, needle, isFolded)) all.push(i)
  return all
}

function hasNeedle({ bytes, lineFrom, lineTo }: Lines, i: number, needle: Uint8Array, isFolded: boolean): boolean {
  const line = Buffer.from(bytes.buffer, bytes.byteOffset + lineFrom[i]!, lineTo[i]! - lineFrom[i]!)
  if (!isFolded) return line.includes(needle)
  const small = line.toString('latin1').replaceAll(/[A-Z]+/g, letters => letters.toLowerCase())
  return small.includes(Buffer.from(needle).toString('latin1'))
}

/** The first line that is not before the time. */
function lowerBound(lines: Lines, ms: number, subNs: number): number {
  let low = 0
  let high = lines.count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (lines.timesMs[middle]! < ms || (lines.timesMs[middle] === ms && lines.subNs[middle]! < subNs)) low = middle + 1
    else high = middle
  }
  return low
}

/** Line filters move forward, as far as the last stage that they may depend on. */
function reorder(stages: readonly Stage[]): Stage[] {
  const out: Stage[] = []
  let barrier = 0
  for (const stage of stages) {
    if (stage.kind === 'line-filter') {
      let at = barrier
      while (out[at]?.kind === 'line-filter') at++
      out.splice(at, 0, stage)
    } else {
      out.push(stage)
      if (stage.kind === 'label-filter' || stage.kind === 'line-format' || stage.kind === 'unpack') barrier = out.length
    }
  }
  return out
}

/** A line format that nothing behind it reads has no effect on a number. */
function withoutIdleFormats(stages: readonly Stage[]): Stage[] {
  const readers = new Set(['line-filter', 'json', 'logfmt', 'regexp', 'pattern', 'unpack'])
  return stages.filter(
    (stage, i) =>
      stage.kind !== 'line-format' ||
      stages
        .slice(i + 1)
        .some(
          s =>
            readers.has(s.kind) ||
            (s.kind === 'label-format' && s.formats.some(f => f.template?.includes('__line__') === true)) ||
            (s.kind === 'line-format' && s.template.includes('__line__')),
        ),
  )
}

function wantedNames(
  stages: readonly Stage[],
  metric: MetricUse,
  functions: ReturnType<typeof templateFunctions>,
): ReadonlySet<string> | undefined {
  const { grouping, unwrap, hasNoLabels } = metric
  const named = hasNoLabels ? [] : grouping?.isWithout === false ? grouping.labels : undefined
  if (named === undefined) return undefined
  const wanted = new Set<string>(named)
  if (unwrap !== undefined) {
    wanted.add(unwrap.label)
    for (const filter of unwrap.filters) for (const name of filterNames(filter)) wanted.add(name)
  }
  for (const stage of stages) {
    const names = stageNames(stage, functions, filterNames)
    if (names === undefined) return undefined
    for (const name of names) wanted.add(name)
  }
  for (const name of wanted) if (name.endsWith('_extracted')) wanted.add(name.slice(0, -10))
  // Any part of the line can cause an error.
  return wanted.has(errorLabel) ? undefined : wanted
}

/** The unwrap, where nothing but it looks at its field. */
function numberOf(stages: readonly Stage[], metric: MetricUse | undefined): Unwrap | undefined {
  const { unwrap, grouping } = metric ?? {}
  if (unwrap === undefined || grouping?.labels.includes(unwrap.label) === true) return undefined
  return isNumberAlone(stages, unwrap) ? unwrap : undefined
}

/** By name: the first condition on it alone. */
function earlyFilters(stages: readonly Stage[], metric: MetricUse | undefined): StageContext['early'] {
  const early = new Map<string, (entry: Entry, name: string, value: string) => boolean>()
  if (metric?.grouping !== undefined && !metric.grouping.isWithout && metric.grouping.labels.length > 0) return early
  for (const stage of stages) {
    if (stage.kind !== 'label-filter') continue
    const name = singleName(stage.filter)
    if (name === undefined || early.has(name) || name === errorLabel) continue
    const probe = new Entry()
    let test: EntryTest
    try {
      test = compileLabelFilter(stage.filter)
    } catch {
      // The error is reported when the stage itself is compiled.
      continue
    }
    early.set(name, (entry, label, value) => {
      probe.reset(entry.base, entry.bytes, entry.from, entry.to, entry.ms, entry.subNs)
      probe.addParsed(label, value)
      return test(probe)
    })
  }
  return early
}
