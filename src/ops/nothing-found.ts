/** What a query that found nothing is told on standard error: what is there instead. Programs read standard output. */
import { messageOf } from '#core/errors.ts'
import { closeOf } from '#core/nearest.ts'
import { parsePromql } from '#lang/promql/parser.ts'
import { selectorsOf } from '#lang/promql/ast.ts'
import { form, request, type Server } from './client.ts'

/** Names and label sets that a message lists. */
const shownMax = 5

/** Sentences about an expression of PromQL without series. */
export function ofMetrics(server: Server, expr: string): Promise<string> {
  return sentences('no series matches', async () => {
    const selectors = selectorsOf(parsePromql(expr))
    if (selectors.some(({ matchers }) => !matchers.some(({ name }) => name === '__name__')))
      return 'for log lines add --logs, for traces --traces'
    const known = await valuesAt(server, '/api/v1/label/__name__/values', 'data')
    if (known.length === 0) return 'no metric has arrived'
    const names = selectors.flatMap(({ matchers }) =>
      matchers.flatMap(({ kind, name, value }) => (name === '__name__' && kind === '=' ? [value] : [])),
    )
    const missing = names.find(name => !known.includes(name))
    if (missing === undefined) return 'the metric is there: its labels, or a longer range, may be meant'
    const close = closeOf(missing, known)
    return `no metric has the name ${missing}${close === undefined ? '' : `; the nearest is ${close}`}`
  })
}

/** Sentences about a query of LogQL without lines. */
export function ofLogs(server: Server, sinceText: string): Promise<string> {
  return sentences(`no line of the last ${sinceText} matches`, async () => {
    const reply = await request(server, '/loki/api/v1/series', form({ 'match[]': '{service_name=~".+"}' }))
    const { data } = (await reply.json()) as { data: Record<string, string>[] }
    const shown = data.map(labels => {
      const pairs = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`)
      return `{${pairs.join(', ')}}`
    })
    return shown.length === 0 ? 'no line has arrived' : `there are lines of ${listOf(shown)}`
  })
}

/** Sentences about a query of TraceQL without traces. */
export function ofTraces(server: Server, sinceText: string): Promise<string> {
  return sentences(`no trace of the last ${sinceText} matches`, async () => {
    const services = await valuesAt(server, '/api/search/tag/service.name/values', 'tagValues')
    return services.length === 0 ? 'no trace has arrived' : `there are spans of ${listOf(services)}`
  })
}

async function valuesAt(server: Server, path: string, member: string): Promise<string[]> {
  const body = (await (await request(server, path)).json()) as Record<string, string[] | undefined>
  return body[member] ?? []
}

function listOf(items: readonly string[]): string {
  const more = items.length - shownMax
  return items.slice(0, shownMax).join(', ') + (more > 0 ? ` and ${more} more` : '')
}

/** A hint that can't be had is left out: the answer is right without it. */
async function sentences(first: string, hint: () => Promise<string>): Promise<string> {
  try {
    return `${first}; ${await hint()}`
  } catch (error) {
    return `${first} (${messageOf(error)})`
  }
}
