/** Elasticsearch's bulk API, as VictoriaLogs takes it, and what clients ask before they send. */
import type { Clock } from '#core/clock.ts'
import { BadDataError, messageOf } from '#core/errors.ts'
import { at, type HttpReply, type Method, type Route } from '#net/route-table.ts'
import type { FieldRules } from '#wire/json-logs/fields.ts'
import { fieldRules, LogEntries, splitLines } from './log-entries.ts'
import { serveLogs, type LogProtocol, type LogsPush } from './logs-push.ts'
import type { ServedProtocol } from './protocol.ts'

const json = { 'content-type': 'application/json' } as const
const root = '/insert/elasticsearch'
const defaults: Partial<FieldRules> = { timeFields: ['@timestamp', '_time'], messageFields: ['message', '_msg'] }

interface Format {
  readonly rules: FieldRules
  readonly startedMs: number
}
/** By document: what the client asked for, and whether it was read. */
type Items = readonly { readonly action: string; readonly isGood: boolean }[]

export function elasticsearch(push: LogsPush): ServedProtocol {
  const { routes, grpc } = serveLogs(push, protocolOf(push), {
    methods: ['POST', 'PUT'],
    paths: [`${root}/_bulk`, `${root}/:index/_bulk`],
  })
  return { routes: [...routes, ...fixedAnswers], grpc }
}

function protocolOf(push: LogsPush): LogProtocol<Format, Items> {
  return {
    formatOf: request => ({ rules: fieldRules(request, defaults), startedMs: push.clock.monotonicMs() }),
    async store(body, { rules }, intake) {
      const entries = new LogEntries(rules, push)
      const items = readPairs(splitLines(body), entries)
      await entries.appendTo(intake)
      return items
    },
    reply: (items, { startedMs }) => bulkReply(items, startedMs, push.clock),
  }
}

/** Pairs of lines: what to do, and the document. */
function readPairs(lines: readonly string[], entries: LogEntries): Items {
  const items: { action: string; isGood: boolean }[] = []
  for (let i = 0; i < lines.length; i += 2) {
    const action = actionOf(lines[i]!, i + 1)
    const document = lines[i + 1]
    items.push({ action, isGood: document !== undefined && entries.addObject(document) })
  }
  return items
}

function actionOf(line: string, number: number): string {
  let action: string
  try {
    // Throws for null, as for what is no JSON.
    action = Object.keys(JSON.parse(line) as object)[0] ?? ''
  } catch (error) {
    throw new BadDataError(`line ${number} is no bulk command: ${messageOf(error)}`, { cause: error })
  }
  if (action !== 'create' && action !== 'index')
    throw new BadDataError(
      `line ${number}: the bulk command ${JSON.stringify(action)} is not known; create and index are`,
    )
  return action
}

function bulkReply(items: Items, startedMs: number, clock: Clock): HttpReply {
  const texts = items.map(({ action, isGood }) =>
    isGood
      ? `{"${action}":{"status":201}}`
      : `{"${action}":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"failed to parse"}}}`,
  )
  const tookMs = Math.round(clock.monotonicMs() - startedMs)
  const hasErrors = items.some(item => !item.isGood)
  return {
    status: 200,
    headers: json,
    body: `{"took":${tookMs},"errors":${hasErrors},"items":[${texts.join(',')}]}`,
  }
}

function fixed(methods: readonly Method[], path: string, reply: HttpReply): Route[] {
  return at(methods, [path], () => Promise.resolve(reply))
}

const fixedAnswers: readonly Route[] = [
  ...fixed(['GET'], root, {
    status: 200,
    headers: { ...json, 'x-elastic-product': 'Elasticsearch' },
    body: '{"version":{"number":"8.9.0"},"tagline":"You Know, for Search"}',
  }),
  ...fixed(['GET'], `${root}/_license`, {
    status: 200,
    headers: json,
    body: '{"license":{"uid":"tercet","type":"oss","status":"active","expiry_date_in_millis":4000000000000}}',
  }),
  ...fixed(['GET', 'PUT', 'POST'], `${root}/*`, { status: 200, headers: json, body: '{}' }),
]
