/** The chunks that a query reads, in which order, and how lines that several chunks have are found. */
import { workAhead } from '#core/parallel.ts'
import { keyOfTexts } from '#core/text.ts'
import { compileMatchers, parseLogql } from '#lang/logql/parser.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import {
  readPairs,
  type ChunkSource,
  type DeletionNotice,
  type LineBlock,
  type Lines,
  type LogsReader,
  type OpenedChunk,
} from '#logs/select.ts'
import type { Labels } from '#model/labels.ts'
import { Pipeline } from './pipeline.ts'

/** A stretch of time in which several chunks of a stream may have the same lines. */
interface Overlap {
  fromMs: number
  throughMs: number
}

/** Lines of one stream that were seen in stretches where chunks overlap. */
export class DuplicateFinder {
  readonly #overlaps: readonly Overlap[]
  readonly #seen = new Map<string, { lines: Lines; i: number; symbols: readonly string[] }[]>()

  constructor(chunks: readonly ChunkSource[]) {
    this.#overlaps = findOverlaps(chunks)
  }

  get isNeeded(): boolean {
    return this.#overlaps.length > 0
  }

  touches(fromMs: number, throughMs: number): boolean {
    return this.#overlaps.some(o => o.fromMs <= throughMs && o.throughMs >= fromMs)
  }

  isDuplicate(lines: Lines, i: number, symbols: readonly string[]): boolean {
    const ms = lines.timesMs[i]!
    if (!this.#overlaps.some(o => ms >= o.fromMs && ms <= o.throughMs)) return false
    const key = `${ms}:${lines.subNs[i]!}`
    const same = this.#seen.get(key)
    if (same === undefined) {
      this.#seen.set(key, [{ lines, i, symbols }])
      return false
    }
    if (same.some(other => isSameLine(other, { lines, i, symbols }))) return true
    same.push({ lines, i, symbols })
    return false
  }
}

function findOverlaps(chunks: readonly ChunkSource[]): Overlap[] {
  const overlaps: Overlap[] = []
  let throughMs = -Infinity
  for (const chunk of [...chunks].sort((a, b) => a.fromMs - b.fromMs)) {
    if (chunk.fromMs <= throughMs)
      overlaps.push({ fromMs: chunk.fromMs, throughMs: Math.min(throughMs, chunk.throughMs) })
    throughMs = Math.max(throughMs, chunk.throughMs)
  }
  return overlaps
}

function isSameLine(
  a: { lines: Lines; i: number; symbols: readonly string[] },
  b: { lines: Lines; i: number; symbols: readonly string[] },
): boolean {
  const length = a.lines.lineTo[a.i]! - a.lines.lineFrom[a.i]!
  if (b.lines.lineTo[b.i]! - b.lines.lineFrom[b.i]! !== length) return false
  const from = a.lines.lineFrom[a.i]!
  const other = b.lines.lineFrom[b.i]!
  for (let k = 0; k < length; k++) if (a.lines.bytes[from + k] !== b.lines.bytes[other + k]) return false
  return pairText(a) === pairText(b)
}

function pairText({ lines, i, symbols }: { lines: Lines; i: number; symbols: readonly string[] }): string {
  const pairs = readPairs(lines, i, symbols)
  const parts: string[] = []
  for (let p = 0; p < pairs.length; p += 2) parts.push(keyOfTexts([pairs[p]!, pairs[p + 1]!]))
  return parts.sort().join('')
}

/** Deletions that a query applies: lines of these streams and times that their filters find are not there. */
export class HiddenLines {
  readonly #deletions: { matchers: Matcher[]; fromMs: number; throughMs: number; pipeline: Pipeline }[]

  constructor(notices: readonly DeletionNotice[], nowMs: () => number) {
    this.#deletions = notices.flatMap(notice => {
      const expr = parseLogql(notice.query === '{}' ? '{__tercet__=~".+"}' : notice.query)
      if (expr.kind !== 'log') return []
      return [
        {
          matchers: notice.query === '{}' ? [] : compileMatchers(expr.matchers),
          fromMs: notice.fromMs,
          throughMs: notice.throughMs,
          pipeline: new Pipeline(expr, undefined, nowMs),
        },
      ]
    })
  }

  /** Is a line of the stream hidden by a deletion? Undefined when none can be. */
  of(labels: Labels): ((lines: Lines, i: number, symbols: readonly string[]) => boolean) | undefined {
    const relevant = this.#deletions.filter(d => d.matchers.every(m => m.matches(labels.get(m.name))))
    if (relevant.length === 0) return undefined
    return (lines, i, symbols) =>
      relevant.some(d => {
        const ms = lines.timesMs[i]!
        if (ms < d.fromMs || ms > d.throughMs) return false
        let isFound = false
        d.pipeline.scan(labels, lines, symbols, {
          bounds: { fromMs: ms, fromSubNs: lines.subNs[i]!, toMs: ms, toSubNs: lines.subNs[i]! + 1 },
          isBackward: false,
          isExcluded: k => k !== i,
          visit: () => {
            isFound = true
            return false
          },
        })
        return isFound
      })
  }
}

/** What each list of deletions hides: read once, however many streams have it. */
function hiddenByDeletions(nowMs: () => number): (notices: readonly DeletionNotice[]) => HiddenLines {
  const known = new Map<readonly DeletionNotice[], HiddenLines>()
  return notices => {
    let hidden = known.get(notices)
    if (hidden === undefined) known.set(notices, (hidden = new HiddenLines(notices, nowMs)))
    return hidden
  }
}

/** A chunk that is to be read, with what belongs to its stream. */
export interface ChunkTask {
  labels: Labels
  chunk: ChunkSource
  duplicates: DuplicateFinder
  hidden: ((lines: Lines, i: number, symbols: readonly string[]) => boolean) | undefined
}

/** Every chunk of the streams that match, not opened yet. */
export async function planChunks(
  reader: LogsReader,
  matchers: readonly Matcher[],
  fromMs: number,
  throughMs: number,
  nowMs: () => number,
): Promise<{ tasks: ChunkTask[]; streams: number }> {
  const streams = await reader.select(matchers, fromMs, throughMs)
  const hiddenBy = hiddenByDeletions(nowMs)
  const ofReader = reader.deletions()
  const tasks: ChunkTask[] = []
  for (const { labels, chunks, deletions = ofReader } of streams) {
    const duplicates = new DuplicateFinder(chunks)
    const hides = hiddenBy(deletions).of(labels)
    for (const chunk of chunks) tasks.push({ labels, chunk, duplicates, hidden: hides })
  }
  return { tasks, streams: streams.length }
}

/** Which lines of a block are left out, as duplicates or as deleted; undefined when none can be. */
export function exclusion(
  task: ChunkTask,
  lines: Lines,
  symbols: readonly string[],
): ((i: number) => boolean) | undefined {
  const { duplicates, hidden } = task
  const touches =
    duplicates.isNeeded && lines.count > 0 && duplicates.touches(lines.timesMs[0]!, lines.timesMs[lines.count - 1]!)
  if (!touches) return hidden === undefined ? undefined : i => hidden(lines, i, symbols)
  return i => duplicates.isDuplicate(lines, i, symbols) || hidden?.(lines, i, symbols) === true
}

/** Lines of the block are not used any more; where duplicates are looked for, they are compared with later ones. */
export function releaseLines({ duplicates }: ChunkTask, block: LineBlock): void {
  if (!duplicates.isNeeded) block.release?.()
}

/** A query waits for a bucket's answers, each some milliseconds away, and holds few chunks in memory. */
export const chunksAhead = {
  atOnce: 16,
  weightMax: 32 * 1024,
  weightOf: ({ chunk }: ChunkTask): number => chunk.kilobytes,
}

/** Opens the next chunks while one is being read. */
export async function* openAhead(
  tasks: readonly ChunkTask[],
  needles: readonly Uint8Array[],
): AsyncGenerator<{ task: ChunkTask; opened: OpenedChunk }> {
  const open = async (task: ChunkTask): Promise<{ task: ChunkTask; opened: OpenedChunk | undefined }> => ({
    task,
    opened: await task.chunk.open(needles),
  })
  for await (const { task, opened } of workAhead(tasks, chunksAhead, open))
    if (opened !== undefined) yield { task, opened }
}
