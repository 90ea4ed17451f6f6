/**
 * The real server of a dialect: one that runs already, at the address in LOGQL_URL, LOGSQL_URL, TRACEQL_URL or
 * PROMQL_URL (it has to be empty), or the program of ENGINES_DIRECTORY or PATH.
 */
import type { Dialect, RealServer } from './question.ts'

/** Undefined: it is not here. */
export async function realServer(dialect: Dialect, directory: string): Promise<RealServer | undefined> {
  const url = process.env[`${dialect.name.toUpperCase()}_URL`]
  if (url === undefined) return dialect.start(directory)
  return {
    url: url.replace(/\/+$/, ''),
    version: '(version not known)',
    origin: 'a running server',
    stop: async () => {},
  }
}
