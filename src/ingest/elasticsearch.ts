/** Elasticsearch's bulk API, as VictoriaLogs takes it, and what clients ask before they send. */
import { RecordCount } from '#core/body-limits.ts'
import type { Clock } from '#core/clock.ts'
import { BadDataError, messageOf } from '#core/errors.ts'
import { LineCursor, unitsOfLine } from '#core/line-cursor.ts'
import { Pace, type Paced } from '#core/pace.ts'
import { known } from '#net/access.ts'
import { allowing, at, type HttpReply, type Method, type Route } from '#net/route-table.ts'
import type { FieldRules } from '#wire/json-logs/fields.ts'
import { fieldRules, LogEntries, type Refused, type StoredEntries } from './log-entries.ts'
import { serveLogs, type LogProtocol, type LogsPush } from './logs-push.ts'
import { finished, type ServedProtocol } from './protocol.ts'

const json = { 'content-type': 'application/json' } as const
const root = '/insert/elasticsearch'
const defaults: Partial<FieldRules> = { timeFields: ['@timestamp', '_time'], messageFields: ['message', '_msg'] }

interface Format {
  readonly rules: FieldRules
  readonly startedMs: number
}
/** What the client asked for, document by document, and what became of it. */
interface Bulk {
  readonly actions: readonly string[]
  readonly stored: StoredEntries
}

export function elasticsearch(push: LogsPush): ServedProtocol {
  const { routes, grpc } = serveLogs(push, protocolOf(push), {
    methods: ['POST', 'PUT'],
    paths: [`${root}/_bulk`, `${root}/:index/_bulk`],
  })
  return finished({ routes: [...routes, ...allowing(known, fixedAnswers)], grpc }, reply => ({
    ...reply,
    // Clients since 7.14 refuse a server whose answers lack its name.
    headers: { ...reply.headers, 'x-elastic-product': 'Elasticsearch' },
  }))
}

function protocolOf(push: LogsPush): LogProtocol<Format, Bulk> {
  return {
    formatOf: request => ({ rules: fieldRules(request, defaults), startedMs: push.clock.monotonicMs() }),
    async store(body, { rules }, intake) {
      const pace = new Pace(push.clock)
      const actions = await readActions(body, pace)
      const entries = new LogEntries(rules, push, true)
      const lines = new LineCursor(body)
      for (const action of actions) {
        const from = lines.at
        addItem(action, lines, entries)
        if (entries.isFull) await entries.appendTo(intake)
        if (pace.worked(unitsOfLine(lines.at - from))) await pace.pause()
      }
      await entries.appendTo(intake)
      return { actions, stored: entries.read() }
    },
    reply: (bulk, { startedMs }) => bulkReply(bulk, startedMs, push.clock),
  }
}

const neverChanged =
  'documents are neither changed nor deleted one by one; create and index are taken, and deletions by query ' +
  '(docs/logs.md)'

/**
 * The actions of all items: lines with what to do, and with the documents; `delete` has none. Throws BadDataError where
 * lines can't be told apart, and LimitError (400) for more items than a body of its size may have: each is answered.
 */
async function readActions(body: Uint8Array, pace: Paced): Promise<string[]> {
  const actions: string[] = []
  const records = new RecordCount(body.length)
  const lines = new LineCursor(body)
  for (let number = 1, from = 0; lines.next(); number++, from = lines.at) {
    records.add()
    const action = actionOf(lines, number)
    actions.push(action)
    if (action !== 'delete' && lines.next()) number++
    if (pace.worked(unitsOfLine(lines.at - from))) await pace.pause()
  }
  return actions
}

/** The item whose line with its action is the next one. */
function addItem(action: string, lines: LineCursor, entries: LogEntries): void {
  lines.next()
  if (action === 'delete') {
    entries.addRefused(neverChanged)
    return
  }
  const number = lines.number
  const hasDocument = lines.next()
  if (action === 'update') entries.addRefused(neverChanged)
  else if (hasDocument) entries.addObject(lines.bytes())
  else entries.addRefused(`no document follows the bulk command in line ${number}`)
}

/** No line with an action is longer. */
const actionBytesMax = 64 * 1024

const knownActions: ReadonlySet<string> = new Set(['create', 'index', 'update', 'delete'])

function actionOf(line: LineCursor, number: number): string {
  if (line.to - line.from > actionBytesMax)
    throw new BadDataError(
      `line ${number} is no bulk command: it has ${line.to - line.from} bytes, the limit is ${actionBytesMax}`,
    )
  let action: string
  try {
    // Throws for null, as for what is no JSON.
    action = Object.keys(JSON.parse(line.text()) as object)[0] ?? ''
  } catch (error) {
    throw new BadDataError(`line ${number} is no bulk command: ${messageOf(error)}`, { cause: error })
  }
  if (!knownActions.has(action))
    throw new BadDataError(
      `line ${number}: the bulk command ${JSON.stringify(action)} is not known; ${[...knownActions].join(', ')} are`,
    )
  return action
}

function itemOf(action: string, refused: Refused | undefined): string {
  if (refused === undefined) return `{"${action}":{"status":201}}`
  const { message: reason, isBroken, passes } = refused
  const type = passes
    ? 'es_rejected_execution_exception'
    : isBroken
      ? 'mapper_parsing_exception'
      : 'illegal_argument_exception'
  return JSON.stringify({ [action]: { status: passes ? 429 : 400, error: { type, reason } } })
}

function bulkReply({ actions, stored }: Bulk, startedMs: number, clock: Clock): HttpReply {
  const items = actions.map((action, i) => itemOf(action, stored.refused.get(i)))
  const tookMs = Math.round(clock.monotonicMs() - startedMs)
  return {
    status: 200,
    headers: json,
    body: `{"took":${tookMs},"errors":${stored.refusedCount > 0},"items":[${items.join(',')}]}`,
  }
}

function fixed(methods: readonly Method[], path: string, reply: HttpReply): Route[] {
  return at(methods, [path], () => Promise.resolve(reply))
}

const fixedAnswers: readonly Route[] = [
  ...fixed(['GET'], root, {
    status: 200,
    headers: json,
    body: '{"version":{"number":"8.9.0"},"tagline":"You Know, for Search"}',
  }),
  ...fixed(['GET'], `${root}/_license`, {
    status: 200,
    headers: json,
    body: '{"license":{"uid":"tercet","type":"oss","status":"active","expiry_date_in_millis":4000000000000}}',
  }),
  ...fixed(['GET', 'PUT', 'POST'], `${root}/*`, { status: 200, headers: json, body: '{}' }),
  ...fixed(['DELETE'], `${root}/*`, {
    status: 405,
    headers: { ...json, allow: 'GET, PUT, POST' },
    body: '{"error":"nothing is deleted here; deletions are requests of their own (docs/logs.md)","status":405}',
  }),
]
