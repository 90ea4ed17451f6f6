/** Asks programs the same questions in turns, and notes what each answer costs. */
import type { Answer } from './answers.ts'
import { type Entrant, inTurn } from './contest.ts'
import type { Peer } from './peers.ts'
import { cpuBetween } from './process-cost.ts'
import type { Column } from './row.ts'

export interface AskedRequest {
  path: string
  parameters: Readonly<Record<string, string>>
}

export interface Question {
  name: string
  /** Undefined: this one has no such query. */
  request(column: Column): AskedRequest | undefined
  /** What an answer holds. */
  read(column: Column, text: string): Answer
}

/** Milliseconds of one answer. */
export interface Asked {
  cpuMs: number
  wallMs: number
}

/** By the question's name, then by column. */
export type AskedTable = Map<string, Map<Column, Asked>>

export interface Effort {
  repeatsMin: number
  repeatsMax: number
  /** Enough was asked when one question took this long. */
  wallMs: number
}

async function ask(peer: Peer, { path, parameters }: AskedRequest): Promise<string> {
  const reply = await fetch(`${peer.url}${path}?${new URLSearchParams(parameters).toString()}`)
  const text = await reply.text()
  if (!reply.ok) throw new Error(`${peer.name}: ${JSON.stringify(parameters)}: ${reply.status} ${text.slice(0, 300)}`)
  return text
}

async function measure(peer: Peer, request: AskedRequest, effort: Effort): Promise<Asked> {
  const before = peer.cost()
  const startedMs = performance.now()
  let repeats = 0
  do {
    await ask(peer, request)
    repeats++
  } while (
    repeats < effort.repeatsMin ||
    (repeats < effort.repeatsMax && performance.now() - startedMs < effort.wallMs)
  )
  const wallMs = (performance.now() - startedMs) / repeats
  return { cpuMs: (cpuBetween(before, peer.cost()) * 1000) / repeats, wallMs }
}

const once: Effort = { repeatsMin: 1, repeatsMax: 1, wallMs: 0 }

/** Every question to every entrant, one entrant after the other. */
export async function askAll(
  entrants: readonly Entrant[],
  questions: readonly Question[],
  effort: Effort = once,
): Promise<AskedTable> {
  const table: AskedTable = new Map()
  for (const [i, question] of questions.entries()) {
    const row = new Map<Column, Asked>()
    for (const { column, peer } of inTurn(entrants, i)) {
      const request = question.request(column)
      if (request !== undefined) row.set(column, await measure(peer, request, effort))
    }
    table.set(question.name, row)
  }
  return table
}

/** Answers by the question's name, then by column. */
export type AnswerTable = Map<string, Map<Column, Answer>>

/** What everybody answers; an answer that is an error stops the run. */
export async function answersOf(entrants: readonly Entrant[], questions: readonly Question[]): Promise<AnswerTable> {
  const table: AnswerTable = new Map()
  for (const question of questions) {
    const answers = new Map<Column, Answer>()
    for (const { column, peer } of entrants) {
      const request = question.request(column)
      if (request !== undefined) answers.set(column, question.read(column, await ask(peer, request)))
    }
    table.set(question.name, answers)
  }
  return table
}

/** The sum over questions, of those columns that have an answer to each. */
export function sumsOf(table: AskedTable, names: readonly string[]): Map<Column, Asked> {
  const sums = new Map<Column, Asked & { count: number }>()
  for (const name of names)
    for (const [column, { cpuMs, wallMs }] of table.get(name) ?? []) {
      const sum = sums.get(column) ?? { cpuMs: 0, wallMs: 0, count: 0 }
      sums.set(column, { cpuMs: sum.cpuMs + cpuMs, wallMs: sum.wallMs + wallMs, count: sum.count + 1 })
    }
  return new Map([...sums].filter(([, { count }]) => count === names.length))
}
