/** The dialects that are compared with their real servers. */
import type { Dialect } from './question.ts'
import { traceql } from './traceql/dialect.ts'

export const dialects: readonly Dialect[] = [traceql]

export function dialectOf(name: string): Dialect {
  const found = dialects.find(dialect => dialect.name === name)
  if (found === undefined) throw new Error(`no dialect ${name}: one of ${dialects.map(d => d.name).join(', ')}`)
  return found
}
