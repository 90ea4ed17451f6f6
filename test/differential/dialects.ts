/** The dialects that are compared with their real servers. */
import { logql } from './logql/dialect.ts'
import type { Dialect } from './question.ts'

export const dialects: readonly Dialect[] = [logql]

export function dialectOf(name: string): Dialect {
  const found = dialects.find(dialect => dialect.name === name)
  if (found === undefined) throw new Error(`no dialect ${name}: one of ${dialects.map(d => d.name).join(', ')}`)
  return found
}
