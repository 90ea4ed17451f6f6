/** Asks two servers the same, and counts what is equal. */
import { isDeepStrictEqual } from 'node:util'
import { ask, type Answer, type Dialect, type Question } from './question.ts'

const askedAtOnce = 4

export interface Difference {
  id: string
  /** Of memory or of blocks; both where both differ. */
  from: string
  real: unknown
  own: unknown
}

export interface Score {
  asked: number
  equal: number
  differences: Difference[]
}

/** Answers of a server, in the order of the questions. */
export async function askAll(url: string, questions: readonly Question[]): Promise<Answer[]> {
  const answers: Answer[] = []
  let next = 0
  const askInTurn = async (): Promise<void> => {
    for (let i = next++; i < questions.length; i = next++) answers[i] = await ask(url, questions[i]!)
  }
  await Promise.all(Array.from({ length: askedAtOnce }, askInTurn))
  return answers
}

export type From = 'memory' | 'blocks'

/** A question is equal when its answers from memory and from blocks both are. */
export function scoreOf(
  dialect: Dialect,
  questions: readonly Question[],
  real: readonly Answer[],
  own: Readonly<Record<From, readonly Answer[]>>,
): Score {
  const differences: Difference[] = []
  for (const [i, question] of questions.entries()) {
    const wanted = dialect.comparable(question, real[i]!)
    for (const from of ['memory', 'blocks'] as const) {
      if (question.asked !== undefined && question.asked !== from) continue
      const got = dialect.comparable(question, own[from][i]!)
      if (isDeepStrictEqual(wanted, got)) continue
      differences.push({ id: question.id, from, real: wanted, own: got })
      break
    }
  }
  const asked = questions.length
  return { asked, equal: asked - differences.length, differences }
}

/** Answers of which none may count as equal: a runner that says so of one finds nothing. */
export function spoiled(answers: readonly Answer[]): Answer[] {
  return answers.map(answer => ({ ...answer, status: answer.status + 1, body: `${answer.body} spoiled` }))
}
