/** Who changed something, or logged in: as lines of the own log, and in the own store under {source="audit"}. */
import { defaultTenants } from '#api/tenancy.ts'
import type { Clock } from '#core/clock.ts'
import { messageOf } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import { hiddenText, isCredentialName, maskUrls } from '#core/secret.ts'
import type { LogsAppender } from '#logs/append.ts'
import { Labels } from '#model/labels.ts'
import { LogBatchBuilder } from '#model/log-batch.ts'
import type { Forbidden } from '#net/http.ts'
import { withSignal, type GuardedRoute, type HttpReply, type HttpRequest } from '#net/route-table.ts'

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
  /** What it was about: parameters, or the body, without credentials. */
  readonly detail?: string | undefined
}

/** Longer details are cut. */
const detailMax = 2000
/** What one credential tries without the right is noted so often in a minute: whoever may not write fills no store. */
const forbiddenMax = 60
const forbiddenWindowMs = 60_000
const streamLabels = Labels.fromObject({ service_name: 'tercet', source: 'audit' })

export class Audit {
  readonly #clock: Clock
  readonly #log: Log
  #appender: LogsAppender | undefined
  /** Of this minute, by the name of the credential. */
  #forbidden = new Map<string, number>()
  #forbiddenSinceMs = -Infinity

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
      const { stored, problems } = await this.#appender.append(defaultTenants.logs, builder.build())
      if (stored === 0) this.#log.error('a line of the audit was not stored', { error: problems[0]?.message })
    } catch (error) {
      this.#log.error('a line of the audit could not be stored', { error: messageOf(error) })
    }
  }

  /** The same route; what it does is noted before it is answered. */
  watched(route: GuardedRoute): GuardedRoute {
    return {
      ...route,
      handler: async request => {
        const read = new WhatWasRead(request)
        try {
          const reply = await route.handler(read.request)
          await this.note(entryOf(request, reply, read))
          return reply
        } catch (error) {
          await this.note({ ...whatOf(request), outcome: 'failed', detail: maskUrls(messageOf(error)) })
          throw error
        }
      },
    }
  }

  /** Somebody who is known tried what the credential is not for. */
  noteForbidden({ who, method, path, from }: Forbidden): void {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#forbiddenSinceMs >= forbiddenWindowMs) {
      this.#forbidden = new Map()
      this.#forbiddenSinceMs = nowMs
    }
    const count = (this.#forbidden.get(who) ?? 0) + 1
    this.#forbidden.set(who, count)
    if (count > forbiddenMax) return
    const detail = count === forbiddenMax ? 'more of this credential are not noted for a minute' : undefined
    void this.note({ who, action: `${method} ${path}`, outcome: 'refused', from, status: 403, detail })
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

function entryOf(request: HttpRequest, reply: HttpReply, read: WhatWasRead): AuditEntry {
  const isDone = reply.status < 400
  return {
    ...whatOf(request),
    outcome: isDone ? 'done' : reply.status === 403 ? 'refused' : 'failed',
    status: reply.status,
    detail: isDone ? read.detail : parametersOf(request.query) || undefined,
  }
}

/**
 * What the handler has read of a request. Nothing more is waited for: whoever sends a body that nobody asks for, and
 * never its end, would have done something that is not noted.
 */
class WhatWasRead {
  /** Hands it to the handler. */
  readonly request: HttpRequest
  #form = ''
  #body: Uint8Array | undefined

  constructor(request: HttpRequest) {
    const keep = async (reading: Promise<Uint8Array>): Promise<Uint8Array> => (this.#body = await reading)
    this.#form = parametersOf(request.query)
    this.request = {
      ...withSignal(request, request.signal),
      body: () => keep(request.body()),
      rawBody: () => keep(request.rawBody()),
      form: async () => {
        const form = await request.form()
        this.#form = parametersOf(form)
        return form
      },
    }
  }

  /** Parameters, or the body. */
  get detail(): string | undefined {
    if (this.#form !== '') return this.#form
    if (this.#body === undefined || this.#body.length === 0) return undefined
    return textOfBody(this.#body)
  }
}

/** As a form has them, without what is a credential or has one. */
function parametersOf(form: URLSearchParams): string {
  const shown = [...form].map(([name, value]) => [name, isCredentialName(name) ? hiddenText : maskUrls(value)])
  return new URLSearchParams(shown).toString().replaceAll(encodeURIComponent(hiddenText), hiddenText)
}

/** More than what is shown is looked at: an address that is cut in its password would be none. */
function textOfBody(body: Uint8Array): string {
  const text = Buffer.from(body.subarray(0, 4 * detailMax)).toString('utf8')
  // Writers of JSON may escape slashes.
  return maskUrls(text.replaceAll(String.raw`\/`, '/'))
}
