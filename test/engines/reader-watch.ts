/**
 * A process that only reads, watched while others write the bucket: what one look has found every later one must find,
 * each number once.
 */
import type { Numbered } from './numbered.ts'

export interface Watched {
  looks: number
  /** The most seconds that a number was not seen after it was sent. */
  lagMost: number
  last: number
  /** What was wrong, each once. */
  findings: string[]
}

export class ReaderWatch {
  readonly #items: Numbered
  readonly #readerUrl: string
  #sent = -1
  #isStopped = false
  #sending: Promise<void> = Promise.resolve()
  #looking: Promise<void> = Promise.resolve()
  readonly watched: Watched = { looks: 0, lagMost: 0, last: -1, findings: [] }
  /** Pushes that nobody took. */
  failures: string[] = []

  constructor(items: Numbered, readerUrl: string) {
    this.#items = items
    this.#readerUrl = readerUrl
  }

  /** The last number that was sent. */
  get sent(): number {
    return this.#sent
  }

  /** A number a second from the base on; one that is not taken is sent again. */
  start(baseMs: number): void {
    this.#sending = this.#repeat(250, async () => {
      if (baseMs + (this.#sent + 1) * 1000 > Date.now()) return
      try {
        await this.#items.send(this.#sent + 1)
        this.#sent++
      } catch (error) {
        this.failures.push(String(error))
      }
    })
    this.#looking = this.#repeat(1000, () => this.#look())
  }

  async #look(): Promise<void> {
    const { watched } = this
    const sent = this.#sent
    let found: number[]
    try {
      found = await this.#items.read(this.#readerUrl, 0, Math.max(0, sent))
    } catch (error) {
      this.#note(String(error))
      return
    }
    watched.looks++
    this.check(found)
    watched.lagMost = Math.max(watched.lagMost, sent - watched.last)
  }

  check(found: readonly number[]): void {
    const { watched } = this
    const now = new Set(found)
    if (now.size < found.length) {
      const sorted = [...found].sort((a, b) => a - b)
      const repeated = sorted.filter((n, i) => n === sorted[i - 1])
      this.#note(`twice: ${repeated.slice(0, 5).join()} (${repeated.length})`)
    }
    const lost = [...this.#seen].filter(n => !now.has(n))
    if (lost.length > 0) this.#note(`seen before, and now missing: ${lost.slice(0, 5).join()} (${lost.length})`)
    for (const n of now) this.#seen.add(n)
    watched.last = Math.max(watched.last, ...found)
  }
  /** All numbers that any look found. */
  readonly #seen = new Set<number>()

  #note(finding: string): void {
    const { findings, looks } = this.watched
    findings.push(`look ${looks}: ${finding.slice(0, 400)}`)
  }

  async #repeat(everyMs: number, work: () => Promise<void>): Promise<void> {
    while (!this.#isStopped) {
      await work()
      await new Promise(resolve => setTimeout(resolve, everyMs))
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#sending
    await this.#looking
  }
}
