/** All questions: the queries of the tables by `/query`, and requests to the other endpoints. */
import type { Question } from '../question.ts'
import { requests } from './endpoint-questions.ts'
import { timeOf } from './entries.ts'
import { filterQueries } from './filter-questions.ts'
import { pipeQueries } from './pipe-questions.ts'
import { statsQueries } from './stats-questions.ts'

const path = '/select/logsql'
const unitNs: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
  d: 86_400_000_000_000n,
}

export function questionsOf(baseMs: number): Question[] {
  const moments = (text: string): string => withMoments(text, baseMs)
  const tables = { filter: filterQueries, pipe: pipeQueries, stats: statsQueries }
  const asked: Question[] = []
  for (const [kind, table] of Object.entries(tables))
    for (const [name, queries] of Object.entries(table))
      for (const query of new Set(queries))
        asked.push({ id: `${kind}/${name}: ${query}`, path: `${path}/query`, params: { query: moments(query) } })
  for (const { endpoint, params } of requests)
    asked.push({
      id: `${endpoint}: ${shown(params)}`,
      path: `${path}/${endpoint}`,
      params: Object.fromEntries(
        Object.entries(params).map(([name, value]) => [
          name,
          typeof value === 'string' ? moments(value) : value.map(moments),
        ]),
      ),
    })
  return asked
}

function shown(params: Readonly<Record<string, string | readonly string[]>>): string {
  return Object.entries(params)
    .flatMap(([name, value]) => [value].flat().map(one => `${name}=${one}`))
    .join(' & ')
}

/** Replaces `@30m@`, `@30m+1ns@`, `@30m.day@` and the like by moments before the base time. */
export function withMoments(text: string, baseMs: number): string {
  return text.replaceAll(
    /@(\d+)([mhd])(?:\+(\d+)(ns|us|ms|s))?(?:\.(\w+))?@/g,
    (_all, count: string, unit: string, added: string | undefined, addedUnit = 'ns', form = '') => {
      const beforeNs = BigInt(count) * unitNs[unit]! - BigInt(added ?? 0) * unitNs[addedUnit]!
      const ns = BigInt(baseMs) * 1_000_000n - beforeNs
      const time = timeOf(baseMs, beforeNs)
      return added === undefined ? momentText(time, ns, form || 'seconds') : withDigits(time, addedUnit)
    },
  )
}

/** With as many digits of the second as a unit has. */
function withDigits(time: string, unit: string): string {
  const digits = { s: 19, ms: 23, us: 26, ns: 29 }[unit]!
  return `${time.slice(0, digits)}Z`
}

function momentText(time: string, ns: bigint, form: string): string {
  switch (form) {
    case 'seconds':
    case 's':
      return form === 's' ? time.slice(0, 19) : `${time.slice(0, 19)}Z`
    case 'unix':
      return String(ns / unitNs['s']!)
    case 'frac':
      return `${ns / unitNs['s']!}.5`
    case 'ms':
      return String(ns / unitNs['ms']!)
    case 'us':
      return String(ns / unitNs['us']!)
    case 'ns':
      return String(ns)
    case 'min':
      return time.slice(0, 16)
    case 'hour':
      return time.slice(0, 13)
    case 'day':
      return time.slice(0, 10)
    default:
      throw new Error(`no form of a moment: ${form}`)
  }
}
