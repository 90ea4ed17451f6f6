/** A log query over single lines that come as text: for tails. */
import type { LogExpr } from '#lang/logql/ast.ts'
import type { Lines } from '#logs/select.ts'
import type { Labels } from '#model/labels.ts'
import { describe, type FoundLine } from './log-query.ts'
import { Pipeline } from './pipeline.ts'

export class LineMatcher {
  readonly #pipeline: Pipeline

  constructor(expr: LogExpr, nowMs: () => number) {
    this.#pipeline = new Pipeline(expr, undefined, nowMs)
  }

  /**
   * What the query makes of the line, or undefined when it does not pass. `pairs`: metadata, names and values in
   * turn.
   */
  match(labels: Labels, ms: number, subNs: number, line: string, pairs: readonly string[]): FoundLine | undefined {
    const text = Buffer.from(line, 'utf8')
    // The pairs as a block has them: their count, then numbers of symbols.
    const refs = [pairs.length / 2, ...pairs.map((_, i) => i)].flatMap(varint)
    const bytes = Buffer.concat([text, Buffer.from(refs)])
    const lines: Lines = {
      bytes,
      count: 1,
      timesMs: Float64Array.of(ms),
      subNs: Uint32Array.of(subNs),
      lineFrom: Uint32Array.of(0),
      lineTo: Uint32Array.of(text.length),
      pairsFrom: Uint32Array.of(text.length),
      pairsTo: Uint32Array.of(bytes.length),
    }
    this.#pipeline.restart()
    let found: FoundLine | undefined
    this.#pipeline.scan(labels, lines, pairs, {
      bounds: { fromMs: -Infinity, fromSubNs: 0, toMs: Infinity, toSubNs: 0 },
      isBackward: false,
      isExcluded: undefined,
      visit: entry => {
        found = describe(entry)
        return false
      },
    })
    return found
  }
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, value >>> 7]
}
