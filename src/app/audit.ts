/** Who changed something, or logged in: as lines of the own log, and in the own store under {source="audit"}. */
import { defaultTenants } from '#api/tenancy.ts'
import type { Clock } from '#core/clock.ts'
import { messageOf } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import type { LogsAppender } from '#logs/append.ts'
import { Labels } from '#model/labels.ts'
import { LogBatchBuilder } from '#model/log-batch.ts'
import type { Forbidden } from '#net/http.ts'
import type { GuardedRoute, HttpReply, HttpRequest } from '#net/route-table.ts'

/** What somebody did, or tried to do. */
export interface AuditEntry {
  /** The name of the credential; empty where credentials are off. */
  readonly who: string
  /** `POST /-/flush`, or `login`. */
  readonly action: string
  readonly outcome: 'done' | 'refused' | 'failed'
  /** Address of the client. */
  readonly from?: string | undefined
  readonly tenant?: string | undefined
  readonly status?: number
  /** What it was about: parameters, or the body. */
  readonly detail?: string | undefined
}

/** Longer details are cut. */
const detailMax = 2000
const streamLabels = Labels.fromObject({ service_name: 'tercet', source: 'audit' })

export class Audit {
  readonly #clock: Clock
  readonly #log: Log
  #appender: LogsAppender | undefined

  constructor(clock: Clock, log: Log) {
    this.#clock = clock
    this.#log = log
  }

  /** Where lines are stored from now on. A process without a store has them in its own log alone. */
  keepIn(appender: LogsAppender): void {
    this.#appender = appender
  }

  /** Resolves when the line is kept. Never rejects: what was done is done, and the own log has said so. */
  async note(entry: AuditEntry): Promise<void> {
    const { detail, ...rest } = entry
    const fields = { ...rest, ...(detail === undefined ? {} : { detail: detail.slice(0, detailMax) }) }
    this.#log.info('audit', fields)
    if (this.#appender === undefined) return
    const builder = new LogBatchBuilder()
    builder.add(streamLabels, this.#clock.nowMs(), 0, JSON.stringify(fields))
    try {
      await this.#appender.append(defaultTenants.logs, builder.build())
    } catch (error) {
      this.#log.error('a line of the audit could not be stored', { error: messageOf(error) })
    }
  }

  /** The same route; what it does is noted before it is answered. */
  watched(route: GuardedRoute): GuardedRoute {
    return {
      ...route,
      handler: async request => {
        try {
          const reply = await route.handler(request)
          await this.note(await entryOf(request, reply))
          return reply
        } catch (error) {
          await this.note({ ...whatOf(request), outcome: 'failed', detail: messageOf(error) })
          throw error
        }
      },
    }
  }

  /** Somebody who is known tried what the credential is not for. */
  noteForbidden({ who, method, path, from }: Forbidden): void {
    void this.note({ who, action: `${method} ${path}`, outcome: 'refused', from, status: 403 })
  }
}

function whatOf(request: HttpRequest): Pick<AuditEntry, 'who' | 'action' | 'from' | 'tenant'> {
  return {
    who: request.grant.name,
    action: `${request.method} ${request.path}`,
    from: request.remoteAddress,
    tenant: request.header('x-scope-orgid'),
  }
}

async function entryOf(request: HttpRequest, reply: HttpReply): Promise<AuditEntry> {
  const isDone = reply.status < 400
  return {
    ...whatOf(request),
    outcome: isDone ? 'done' : reply.status === 403 ? 'refused' : 'failed',
    status: reply.status,
    // What was refused may not have been read, and is not read now.
    detail: isDone ? await detailOf(request) : request.query.toString() || undefined,
  }
}

async function detailOf(request: HttpRequest): Promise<string | undefined> {
  const form = (await request.form()).toString()
  if (form !== '' || request.method === 'DELETE') return form || undefined
  const body = await request.body()
  return body.length === 0 ? undefined : Buffer.from(body.subarray(0, detailMax)).toString('utf8')
}
