/** Tercet's side: loaded, asked from memory, flushed, asked from blocks. */
import { systemClock } from '#core/clock.ts'
import { runTercet } from '../run-tercet.ts'
import type { Answer, Dialect, Question } from './question.ts'
import { askAll, type From } from './scoring.ts'

/** `baseMs`: the moment that is now for it. */
export async function ownAnswers(
  dialect: Dialect,
  baseMs: number,
  questions: readonly Question[],
): Promise<Record<From, Answer[]>> {
  const shiftMs = baseMs - Date.now()
  const clock = { ...systemClock, nowMs: () => Date.now() + shiftMs }
  const running = await runTercet(dialect.flags, undefined, { clock })
  try {
    await dialect.load({ url: running.url, isReal: false }, baseMs)
    const memory = await askAll(running.url, questions)
    await running.tercet.flush()
    return { memory, blocks: await askAll(running.url, questions) }
  } finally {
    await running.stop()
  }
}
