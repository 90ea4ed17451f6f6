/** PromQL and Prometheus' HTTP API. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startProgram } from '../real-program.ts'
import type { Answer, Dialect, Question } from '../question.ts'
import { loadSeries } from './data.ts'
import { questions } from './questions.ts'
import { randomQuestion } from './random-questions.ts'

const features =
  'promql-experimental-functions,promql-extended-range-selectors,promql-binop-fill-modifiers,' +
  'promql-delayed-name-removal,exemplar-storage'
const configuration = 'global: {}\nstorage:\n  tsdb:\n    out_of_order_time_window: 4h\n'

export const promqlDialect: Dialect = {
  name: 'promql',
  language: 'PromQL',
  server: 'Prometheus',
  flags: ['metrics.out_of_order_window=4h'],
  async start(directory) {
    writeFileSync(join(directory, 'prometheus.yml'), configuration)
    const program = await startProgram({
      name: 'prometheus',
      directory,
      args: ([port]) => [
        '--config.file=prometheus.yml',
        '--storage.tsdb.path=data',
        `--web.listen-address=127.0.0.1:${port}`,
        '--web.enable-remote-write-receiver',
        '--web.enable-admin-api',
        `--enable-feature=${features}`,
      ],
      readyPath: '/-/ready',
    })
    if (program === undefined) return undefined
    const build = (await (await fetch(`${program.url}/api/v1/status/buildinfo`)).json()) as {
      data: { version: string }
    }
    return {
      url: program.url,
      version: build.data.version,
      origin: `prometheus --web.enable-remote-write-receiver --enable-feature=${features}, with\n${configuration}`,
      stop: () => program.stop(),
    }
  },
  load: ({ url }, baseMs) => loadSeries(url, baseMs),
  questions,
  randomQuestion,
  comparable,
}

/**
 * Not defined, so not compared: the order of vectors without sort(), of series, of warnings and infos; the last digits
 * of floats.
 */
function comparable({ id }: Question, { status, type, body }: Answer): unknown {
  if (type !== 'application/json') return { status, type, body }
  let parsed: unknown
  try {
    parsed = JSON.parse(body)
  } catch {
    return { status, type, body }
  }
  return { status, type, body: ordered(rounded(parsed), id.startsWith('order/')) }
}

function ordered(value: unknown, keepsOrder: boolean): unknown {
  if (typeof value !== 'object' || value === null) return value
  const answer = { ...value } as Record<string, unknown>
  for (const name of ['warnings', 'infos']) if (Array.isArray(answer[name])) answer[name] = answer[name].toSorted()
  const data = answer['data'] as { resultType?: string; result?: unknown[] } | unknown[] | undefined
  if (Array.isArray(data)) {
    const isOfObjects = data.every(one => typeof one === 'object')
    return isOfObjects ? { ...answer, data: data.toSorted(byText) } : answer
  }
  if (data?.resultType === 'vector' && Array.isArray(data.result) && !keepsOrder)
    answer['data'] = { ...data, result: data.result.toSorted(byText) }
  return answer
}

function byText(a: unknown, b: unknown): number {
  const [x, y] = [JSON.stringify(a), JSON.stringify(b)]
  return x < y ? -1 : x > y ? 1 : 0
}

const numberText = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/

/** Numbers and texts of numbers with 12 digits; objects with their keys in order. */
function rounded(value: unknown): unknown {
  if (typeof value === 'number') return Number(value.toPrecision(12))
  if (typeof value === 'string') {
    // How it is written counts too: with an exponent or without.
    return numberText.test(value) ? `${value.includes('e') ? 'e' : 'f'}${Number(value).toPrecision(12)}` : value
  }
  if (Array.isArray(value)) return value.map(rounded)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, one]) => [key, rounded(one)] as const)
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}
