/** What every part of the table is given. */
import type { Effort } from './asking.ts'
import type { Figures } from './figures.ts'
import type { PeerName } from './peers.ts'

export interface TableRun {
  figures: Figures
  /** Programs that are here, Tercet first. */
  programs: readonly PeerName[]
  rounds: number
  isQuick: boolean
  /** Where data lies; removed at the end. */
  directory: string
  effort: Effort
  /** What each program answers, in words, by the question and the column. */
  answers: Record<string, Record<string, string>>
  /** Answers that differ, in words. */
  disagreements: string[]
}

/** Those of a part, Tercet first. */
export function programsOf(run: TableRun, names: readonly PeerName[]): PeerName[] {
  return (['tercet', ...names] as const).filter(name => run.programs.includes(name))
}
