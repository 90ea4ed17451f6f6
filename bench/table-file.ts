/** A run of the table as a file, and what two runs say of each other. */
import { columns, peersOf, ratioOf, type Row, shown, tableLine } from './row.ts'

export interface TableFile {
  /** When it began, in ISO 8601. */
  startedAt: string
  /** Processors, memory, Node, and how busy the machine was. */
  machine: Readonly<Record<string, string>>
  /** What was set, and each program's version. */
  settings: readonly string[]
  /** By the question and the column. */
  answers: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** Answers that differ between programs. */
  disagreements: readonly string[]
  rows: readonly Row[]
}

/** Ratios of a second run may be this far from those of the first. */
const tolerance = 0.1

interface Change {
  row: Row
  text: string
  /** The ratio now divided by the ratio then. */
  change: number
}

function changesOf(row: Row, old: readonly Row[]): Change[] {
  const before = old.find(other => other.section === row.section && other.work === row.work)
  if (before === undefined) return []
  return peersOf(row)
    .filter(peer => before.values[peer] !== undefined && before.values.tercet !== undefined)
    .map(peer => {
      const [now, then] = [ratioOf(row, peer), ratioOf(before, peer)]
      return { row, text: `${shown(then)} → ${shown(now)} × ${columns[peer]}`, change: now / then }
    })
    .filter(({ change }) => Number.isFinite(change))
}

export const isBeyond = (change: number): boolean => change > 1 + tolerance || change < 1 / (1 + tolerance)

/** Each ratio of a run beside that of an older one; those that moved by more than 10 % are marked. */
export function againstOf(rows: readonly Row[], old: TableFile): string {
  const changes = rows.filter(row => row.isDetail !== true).flatMap(row => changesOf(row, old.rows))
  const beyond = changes.filter(({ change }) => isBeyond(change))
  return [
    `### Against the run of ${old.startedAt}`,
    '',
    tableLine(['work', 'Tercet ÷ peer, then → now', 'now ÷ then', 'beyond 10 %']),
    tableLine(['---', '---', '---', '---']),
    ...changes.map(({ row, text, change }) =>
      tableLine([row.work, text, shown(change), isBeyond(change) ? '**yes**' : '']),
    ),
    '',
    `${beyond.length} of ${changes.length} ratios moved by more than 10 %.`,
    '',
  ].join('\n')
}
