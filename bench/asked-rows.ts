/** Questions to programs on the data they have: cold after a start, then warm; figures of all, of some, and of each. */
import { differences, inWords } from './answers.ts'
import { answersOf, askAll, type Asked, type AskedTable, type Effort, type Question, sumsOf } from './asking.ts'
import { type Contender, type Entrant, inTurn, startAll, stopAll } from './contest.ts'
import type { Figures } from './figures.ts'
import type { Column, Section } from './row.ts'
import type { TableRun } from './table-run.ts'

export interface Quiz {
  section: Section
  questions: readonly Question[]
  /** Sums of many questions: the row's name, and the questions' names. */
  sums: readonly { work: string; names: readonly string[]; note?: string }[]
  /** Questions with a row of their own: the row's name by the question's. */
  own: ReadonlyMap<string, string>
  /** Of `own`: those whose wall time has a row too. */
  wallOf?: readonly string[]
  peakWork: string
  /** A second column for a process that answers in two ways. */
  also?: readonly { of: Column; column: Column }[]
}

const warmUps: Effort = { repeatsMin: 1, repeatsMax: 20, wallMs: 100 }
const mebibyte = 1024 * 1024
type Temperature = 'cold' | 'warm'

function withAlso(entrants: readonly Entrant[], { also }: Quiz): Entrant[] {
  const others = (also ?? []).flatMap(({ of, column }) => {
    const one = entrants.find(entrant => entrant.column === of)
    return one === undefined ? [] : [{ column, peer: one.peer }]
  })
  return [...entrants, ...others]
}

/** Wall time of a single question is a detail, unless a bar is set for it. */
function noteAsked(
  figures: Figures,
  quiz: Quiz,
  work: string,
  asked: ReadonlyMap<Column, Asked>,
  note: { note?: string } = {},
): void {
  const { section } = quiz
  const isDetail = [...quiz.own.values()].includes(work) && quiz.wallOf?.includes(work) !== true
  for (const [column, { cpuMs, wallMs }] of asked) {
    figures.add({ section, work, unit: 'CPU-ms', ...note }, column, cpuMs)
    figures.add({ section, work: `${work}, wall`, unit: 'ms', isDetail }, column, wallMs)
  }
}

function noteTable(figures: Figures, quiz: Quiz, table: AskedTable, temperature: Temperature): void {
  const { section } = quiz
  for (const { work, names, note } of quiz.sums)
    noteAsked(figures, quiz, `${work}, ${temperature}`, sumsOf(table, names), note === undefined ? {} : { note })
  for (const [name, asked] of table) {
    const work = quiz.own.get(name)
    if (work !== undefined && temperature === 'warm') noteAsked(figures, quiz, work, asked)
    for (const [column, { cpuMs, wallMs }] of asked) {
      const detail = { section, isDetail: true }
      figures.add({ ...detail, work: `${temperature}: ${name}`, unit: 'CPU-ms' }, column, cpuMs)
      figures.add({ ...detail, work: `${temperature}, wall: ${name}`, unit: 'ms' }, column, wallMs)
    }
  }
}

async function noteAnswers(run: TableRun, entrants: readonly Entrant[], questions: readonly Question[]): Promise<void> {
  for (const [name, answers] of await answersOf(entrants, questions)) {
    run.answers[name] = Object.fromEntries([...answers].map(([column, answer]) => [column, inWords(answer)]))
    run.disagreements.push(...differences(name, answers))
  }
}

/** One round: everybody is started on its data, asked once, a few times more, and then for the figures. */
async function askRound(run: TableRun, quiz: Quiz, contenders: readonly Contender[], round: number): Promise<void> {
  const entrants = await startAll(inTurn(contenders, round))
  const all = withAlso(entrants, quiz)
  noteTable(run.figures, quiz, await askAll(entrants, quiz.questions), 'cold')
  if (round === 0) await noteAnswers(run, entrants, quiz.questions)
  await askAll(all, quiz.questions, warmUps)
  noteTable(run.figures, quiz, await askAll(all, quiz.questions, run.effort), 'warm')
  for (const { column, peer } of entrants)
    run.figures.add(
      { section: quiz.section, work: quiz.peakWork, unit: 'MiB' },
      column,
      peer.cost().peakBytes / mebibyte,
    )
  await stopAll(entrants, true)
}

export async function askRounds(run: TableRun, quiz: Quiz, contenders: readonly Contender[]): Promise<void> {
  for (let round = 0; round < run.rounds; round++) await askRound(run, quiz, contenders, round)
}
