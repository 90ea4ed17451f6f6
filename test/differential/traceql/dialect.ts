/** TraceQL and Tempo's HTTP API. */
import type { Dialect } from '../question.ts'
import { comparable } from './comparison.ts'
import { loadWorld } from './loading.ts'
import { metricsQuestions } from './metrics-questions.ts'
import { otherQuestions } from './other-questions.ts'
import { randomQuestion } from './random-questions.ts'
import { searchQuestions } from './search-questions.ts'
import { tagQuestions } from './tag-questions.ts'
import { startTempo } from './tempo.ts'

export const traceql: Dialect = {
  name: 'traceql',
  language: 'TraceQL',
  server: 'Tempo',
  flags: [],
  start: startTempo,
  load: loadWorld,
  questions: baseMs => [
    ...searchQuestions(baseMs),
    ...tagQuestions(baseMs),
    ...metricsQuestions(baseMs),
    ...otherQuestions(baseMs),
  ],
  randomQuestion,
  comparable,
}
