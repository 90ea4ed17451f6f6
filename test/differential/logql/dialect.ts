/** LogQL and Loki's HTTP API. */
import type { Dialect } from '../question.ts'
import { Asking } from './asking.ts'
import { comparable, withoutStatistics } from './comparable.ts'
import { load } from './data.ts'
import { askApi } from './questions-api.ts'
import { askErrors } from './questions-errors.ts'
import { askLines } from './questions-lines.ts'
import { askMetrics } from './questions-metrics.ts'
import { randomQuestion } from './random-questions.ts'
import { startLoki } from './server.ts'

export const logql: Dialect = {
  name: 'logql',
  language: 'LogQL',
  server: 'Loki',
  flags: [],
  start: startLoki,
  load,
  questions(baseMs) {
    const asking = new Asking(baseMs)
    askLines(asking)
    askMetrics(asking)
    askErrors(asking)
    askApi(asking)
    return asking.questions
  },
  randomQuestion,
  comparable,
  recorded: withoutStatistics,
}
