/** LogsQL and VictoriaLogs' HTTP endpoints, against VictoriaLogs. */
import { untilTrue } from '../../until.ts'
import type { Dialect, RealServer, Target } from '../question.ts'
import { startProgram } from '../real-program.ts'
import { jsonLines, streamFields } from './entries.ts'
import { comparable } from './comparable.ts'
import { questionsOf } from './questions.ts'
import { randomQuestion } from './random-questions.ts'

export const logsqlDialect: Dialect = {
  name: 'logsql',
  language: 'LogsQL',
  server: 'VictoriaLogs',
  flags: ['logs.out_of_order_window=inf'],
  start,
  load,
  questions: questionsOf,
  randomQuestion,
  comparable,
}

async function start(directory: string): Promise<RealServer | undefined> {
  const program = await startProgram({
    name: 'victoria-logs',
    directory,
    args: ([port]) => [
      `-storageDataPath=${directory}/data`,
      `-httpListenAddr=127.0.0.1:${port}`,
      '-retentionPeriod=100y',
      '-defaultMsgValue=',
    ],
    env: () => ({ TZ: 'UTC' }),
    readyPath: '/health',
  })
  if (program === undefined) return undefined
  return {
    url: program.url,
    version: /victoria-logs-\d+-(v[\d.]+)/.exec(program.output())?.[1] ?? 'unknown',
    origin: 'victoria-logs -storageDataPath=… -httpListenAddr=… -retentionPeriod=100y -defaultMsgValue=, TZ=UTC',
    stop: () => program.stop(),
  }
}

async function load({ url, isReal }: Target, baseMs: number): Promise<void> {
  const parameters = new URLSearchParams({ _stream_fields: streamFields.join(',') })
  const reply = await fetch(`${url}/insert/jsonline?${parameters}`, { method: 'POST', body: jsonLines(baseMs) })
  if (reply.status !== 200) throw new Error(`the entries were refused: ${reply.status} ${await reply.text()}`)
  if (!isReal) return
  await fetch(`${url}/internal/force_flush`)
  const wanted = jsonLines(baseMs).split('\n').length - 1
  await untilTrue(async () => (await countOf(url)) === wanted, `${wanted} entries`)
}

async function countOf(url: string): Promise<number> {
  const reply = await fetch(`${url}/select/logsql/query?query=${encodeURIComponent('* | count() as n')}`)
  return Number((JSON.parse(await reply.text()) as { n: string }).n)
}
