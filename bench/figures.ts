/** Collects the figures of a run: one a round for each work and column. */
import { type Column, columns, type Row, type Section, shown } from './row.ts'

export interface Work {
  section: Section
  work: string
  unit: string
  note?: string
  isDetail?: boolean
}

export class Figures {
  readonly #rows = new Map<string, Row & { values: Partial<Record<Column, number[]>> }>()

  /** The figure of one more round. */
  add(work: Work, column: Column, value: number): void {
    const key = `${work.section} ${work.work}`
    const row = this.#rows.get(key) ?? { ...work, values: {} }
    this.#rows.set(key, row)
    ;(row.values[column] ??= []).push(value)
    if (work.isDetail !== true) console.error(`  ${columns[column]}: ${work.work} = ${shown(value)} ${work.unit}`)
  }

  /** A row that another program measured; what is called as one before it stands below another, and gets its name. */
  addRow(row: Row, above = ''): void {
    const isTaken = this.#rows.has(`${row.section} ${row.work}`)
    const work = isTaken ? `${above}: ${row.work}` : row.work
    this.#rows.set(`${row.section} ${work}`, { ...row, work, values: { ...row.values } as Record<Column, number[]> })
  }

  rows(): Row[] {
    return [...this.#rows.values()]
  }
}
