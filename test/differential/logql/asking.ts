/** Questions from tables: times that every question has, and how one is made. */
import type { Question } from '../question.ts'
import { nanoseconds } from './data.ts'

export type Params = Readonly<Record<string, string | readonly string[]>>

export class Asking {
  readonly questions: Question[] = []
  readonly baseMs: number

  constructor(baseMs: number) {
    this.baseMs = baseMs
  }

  /** Nanoseconds as decimals. */
  at(atMs: number, subNs = 0): string {
    return nanoseconds(this.baseMs, atMs, subNs)
  }

  ask(id: string, path: string, params: Params = {}, more: Partial<Question> = {}): void {
    this.questions.push({ id, path, params, ...more })
  }

  /** The data's three hours. */
  window(): { start: string; end: string } {
    return { start: this.at(-170 * 60_000), end: this.at(0) }
  }

  range(id: string, query: string, params: Params = {}, more: Partial<Question> = {}): void {
    this.ask(id, '/loki/api/v1/query_range', { query, ...this.window(), limit: '1000', ...params }, more)
  }

  /** A line by its time. */
  line(id: string, query: string, atMs: number): void {
    this.range(id, query, { start: this.at(atMs), end: this.at(atMs, 1), limit: '10' })
  }

  instant(id: string, query: string, params: Params = {}): void {
    this.ask(id, '/loki/api/v1/query', { query, time: this.at(-60_000), ...params })
  }
}
