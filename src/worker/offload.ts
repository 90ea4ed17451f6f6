/** Routes whose work is done by workers. */
import type { Clock } from '#core/clock.ts'
import { holdAnswerOf, withSignal, type HttpReply, type HttpRequest, type Route } from '#net/route-table.ts'
import { BodyPipe } from './body-pipe.ts'
import type { CarriedReply, CarriedRequest, MainCalls, WorkerCalls } from './calls.ts'
import type { Costs } from './costs.ts'
import type { Link } from './link.ts'
import type { JobWork, Pool } from './pool.ts'

export interface OffloadOptions {
  clock: Clock
  pool: Pool<WorkerCalls, MainCalls>
  costs: Costs
  /** Longer than any limit that a request has by itself. */
  timeoutMs: number
}

/** Headers that handlers read. */
const carriedHeaders = [
  'accept',
  'accept-encoding',
  'cache-control',
  'content-encoding',
  'content-type',
  'x-loki-response-encoding-flags',
  'x-query-tags',
  'x-scope-orgid',
] as const

/**
 * The same routes; heavy ones ask a worker, unless what is asked was cheap so far. `onIncomplete`: an answer lacked
 * something.
 */
export function offloaded<R extends Route>(
  routes: readonly R[],
  options: OffloadOptions,
  onIncomplete: () => void,
): R[] {
  return routes.map(route => (route.isHeavy === true ? offloadedRoute(route, options, onIncomplete) : route))
}

function offloadedRoute<R extends Route>(route: R, options: OffloadOptions, onIncomplete: () => void): R {
  const answer = async (request: HttpRequest): Promise<HttpReply> => {
    const { clock, costs } = options
    const carried = await carry(route, request)
    const key = costs.keyOf(carried)
    if (costs.isCheap(key)) {
      const startedMs = clock.monotonicMs()
      const reply = await tryHere(route, request, clock)
      if (reply?.isKept !== true)
        costs.note(key, clock.monotonicMs() - startedMs, reply !== undefined && isSmall(reply))
      if (reply !== undefined) return reply
    }
    const reply = await ask(carried, request.signal, options, key, onIncomplete)
    try {
      holdAnswerOf(request, reply)
    } catch (error) {
      reply.drop?.()
      throw error
    }
    return reply
  }
  return {
    ...route,
    handler: request =>
      answer(request).catch((error: unknown) => {
        if (route.refuse === undefined) throw error
        return route.refuse(error)
      }),
  }
}

/** So long a request may take here that was cheap so far. */
const trialMs = 10

/** The reply of a handler in this thread; undefined when it was not done in time. */
async function tryHere(route: Route, request: HttpRequest, clock: Clock): Promise<HttpReply | undefined> {
  const trial = new AbortController()
  const timer = clock.after(trialMs, () => {
    trial.abort()
  })
  const own = withSignal(request, AbortSignal.any([request.signal, trial.signal]))
  // What a reply holds is counted when it is the one that is sent.
  const reply = await route.handler({ ...own, holdAnswer: undefined })
  timer.cancel()
  if (trial.signal.aborted && !request.signal.aborted) return undefined
  holdAnswerOf(request, reply)
  return reply
}

/** A reply that holds more is not cheap, however fast it was there: it is printed while it is sent. */
const smallBytes = 64 * 1024

function isSmall({ body, heldBytes }: HttpReply): boolean {
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) return true
  return heldBytes !== undefined && heldBytes <= smallBytes
}

/** A form as text, any other body as bytes. */
async function carry({ path: route }: Route, request: HttpRequest): Promise<Omit<CarriedRequest, 'id'>> {
  const headers = carriedHeaders.flatMap(name => {
    const value = request.header(name)
    return value === undefined ? [] : [[name, value] as const]
  })
  const isForm = /^(application\/x-www-form-urlencoded|multipart\/form-data)/i.test(
    request.header('content-type') ?? '',
  )
  const hasBody = request.method !== 'GET' && request.method !== 'HEAD'
  return {
    method: request.method,
    path: request.path,
    route,
    params: request.params,
    query: request.query.toString(),
    headers,
    grant: request.grant,
    form: hasBody && isForm ? (await request.form()).toString() : undefined,
    body: hasBody && !isForm ? await request.body() : undefined,
  }
}

function ask(
  carried: Omit<CarriedRequest, 'id'>,
  signal: AbortSignal,
  { pool, costs, timeoutMs }: OffloadOptions,
  key: string,
  onIncomplete: () => void,
): Promise<HttpReply> {
  const gone = new AbortController()
  return new Promise((resolve, reject) => {
    let pipe: BodyPipe | undefined
    const work: JobWork<void, WorkerCalls, MainCalls> = async (link, id, attempt) => {
      const reply = await link.call('request', { ...carried, id })
      // One that was told to stop answers, too: that it was cancelled.
      if (attempt.isVoid) return
      if (reply.isIncomplete) onIncomplete()
      if (!reply.isKept) costs.note(key, reply.workMs, !reply.hasMore)
      if (!reply.hasMore) {
        resolve(replyOf(reply, reply.body))
        return
      }
      pipe = new BodyPipe(() => {
        gone.abort()
      })
      attempt.answering()
      resolve(replyOf(reply, pipe))
      await pump(link, id, reply.body, pipe)
    }
    const options = {
      signal: AbortSignal.any([signal, gone.signal]),
      timeoutMs,
      isRepeatable: () => pipe === undefined,
    }
    pool.run(work, options).catch((error: unknown) => {
      if (pipe === undefined) reject(error as Error)
      else pipe.end(error as Error)
    })
  })
}

function replyOf(
  { status, headers, heldBytes, isText }: CarriedReply,
  body: Uint8Array | BodyPipe | undefined,
): HttpReply {
  const held = heldBytes === undefined ? {} : { heldBytes }
  return {
    status,
    isText,
    ...held,
    ...(headers === undefined ? {} : { headers }),
    ...(body === undefined ? {} : { body }),
    ...(body instanceof BodyPipe ? { drop: () => body.stop() } : {}),
  }
}

/** The next part is asked for while the one before it waits for the socket. */
async function pump(
  link: Link<WorkerCalls, MainCalls>,
  id: number,
  first: Uint8Array | undefined,
  pipe: BodyPipe,
): Promise<void> {
  let piece = first
  while (piece !== undefined) {
    const next = link.call('pull', id)
    // Seen when it is awaited.
    next.catch(() => {})
    await pipe.push(piece)
    piece = await next
  }
  pipe.end()
}
