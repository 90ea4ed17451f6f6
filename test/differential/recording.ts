/**
 * Answers of a real server, as data: `fixtures/differential/<dialect>/answers.jsonl` has a line for each question,
 * `recording.json` the moment and the server, `unequal.json` the questions that Tercet answers differently, and why.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { Answer, Question, RealServer } from './question.ts'

export interface Recording {
  baseMs: number
  version: string
  origin: string
  /** By the question's id. */
  answers: ReadonlyMap<string, Answer>
}

const directoryOf = (dialect: string): string =>
  new URL(`../../fixtures/differential/${dialect}/`, import.meta.url).pathname

export function writeRecording(
  dialect: string,
  baseMs: number,
  { version, origin }: Pick<RealServer, 'version' | 'origin'>,
  questions: readonly Question[],
  answers: readonly Answer[],
): void {
  const directory = directoryOf(dialect)
  mkdirSync(directory, { recursive: true })
  writeFileSync(`${directory}recording.json`, `${JSON.stringify({ baseMs, version, origin }, undefined, 2)}\n`)
  const lines = questions.map(({ id }, i) => `${JSON.stringify({ id, ...answers[i]! })}\n`)
  writeFileSync(`${directory}answers.jsonl`, lines.join(''))
}

export function readRecording(dialect: string): Recording | undefined {
  const directory = directoryOf(dialect)
  if (!existsSync(`${directory}recording.json`)) return undefined
  const facts = JSON.parse(readFileSync(`${directory}recording.json`, 'utf8')) as Omit<Recording, 'answers'>
  const answers = new Map<string, Answer>()
  for (const line of readFileSync(`${directory}answers.jsonl`, 'utf8').split('\n')) {
    if (line === '') continue
    const { id, ...answer } = JSON.parse(line) as Answer & { id: string }
    answers.set(id, answer)
  }
  return { ...facts, answers }
}

/** The ratchet: by question, why its answer is not equal. */
export function readUnequal(dialect: string): Readonly<Record<string, string>> {
  const path = `${directoryOf(dialect)}unequal.json`
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>) : {}
}
