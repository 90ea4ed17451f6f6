/** Where tests send a scraped body: every call as a line of text. */
import { Labels } from '#model/labels.ts'
import type { FloatHistogram } from '#model/histogram.ts'
import type { Metadata } from '#model/write-batch.ts'
import type { ScrapedExemplar, ScrapeSink } from '#wire/prometheus-text/scan.ts'

const timeText = (timeMs: number | undefined): string => (timeMs === undefined ? '' : ` @${timeMs}`)
const exemplarText = (e: ScrapedExemplar): string => ` # ${e.labels.toString()} ${e.value}${timeText(e.timeMs)}`

/** `series value @ms # {exemplar} value @ms`, `series {histogram} @ms # …`, `# metric type unit help`. */
export class ShownScrape implements ScrapeSink {
  readonly lines: string[] = []
  /** Series that were new. */
  added = 0
  readonly #byHash = new Map<string, number>()
  readonly #series: string[] = []

  find(hashA: number, hashB: number): number {
    return this.#byHash.get(`${hashA} ${hashB}`) ?? -1
  }

  add(hashA: number, hashB: number, labels: [string, string][]): number {
    const shown = Labels.from(labels).toString()
    this.#byHash.set(`${hashA} ${hashB}`, this.#series.length)
    this.added++
    return this.#series.push(shown.includes('{') ? shown : `${shown}{}`) - 1
  }

  sample(series: number, value: number, timeMs: number | undefined, exemplar: ScrapedExemplar | undefined): void {
    const tail = exemplar === undefined ? '' : exemplarText(exemplar)
    this.lines.push(`${this.#series[series] ?? '?'} ${value}${timeText(timeMs)}${tail}`)
  }

  histogram(
    series: number,
    histogram: FloatHistogram,
    timeMs: number | undefined,
    exemplars: readonly ScrapedExemplar[],
  ): void {
    const tail = exemplars.map(exemplarText).join('')
    this.lines.push(`${this.#series[series] ?? '?'} ${histogram.toString()}${timeText(timeMs)}${tail}`)
  }

  refuse(series: number, problem: string): void {
    this.lines.push(`${this.#series[series] ?? '?'} refused: ${problem}`)
  }

  metadata({ metric, type, unit, help }: Metadata): void {
    this.lines.push(['#', metric, type, unit, help].filter(part => part !== '').join(' '))
  }
}
