/** Requests as a worker answers them: by the same handlers, with bodies in parts. */
import type { Clock } from '#core/clock.ts'
import { NotFoundError } from '#core/errors.ts'
import type { HttpReply, HttpRequest, Route } from '#net/route-table.ts'
import type { CarriedReply, CarriedRequest } from './calls.ts'
import type { Answer } from './link.ts'
import type { UnderWay } from './under-way.ts'

/** A part of a body. */
const partBytes = 256 * 1024

type Pieces = AsyncIterator<string | Uint8Array> | Iterator<string | Uint8Array>

export class RequestServer {
  readonly #clock: Clock
  readonly #routes = new Map<string, Route>()
  readonly #underWay: UnderWay
  /** What is left of bodies, by job. */
  readonly #rests = new Map<number, Pieces>()

  constructor(clock: Clock, routes: readonly Route[], underWay: UnderWay) {
    this.#clock = clock
    this.#underWay = underWay
    for (const route of routes) for (const method of route.methods) this.#routes.set(`${method} ${route.path}`, route)
  }

  async request(carried: CarriedRequest): Promise<Answer<CarriedReply>> {
    const { id, method } = carried
    const route = this.#routes.get(`${method === 'HEAD' ? 'GET' : method} ${carried.route}`)
    if (route === undefined) throw new NotFoundError(`no worker serves ${method} ${carried.route}`)
    const startedMs = this.#clock.monotonicMs()
    const signal = this.#underWay.begin(id)
    try {
      const reply = await route.handler(requestOf(carried, signal))
      const { first, rest } = await begin(reply.body)
      if (rest !== undefined) this.#keep(id, rest, signal)
      const answer: CarriedReply = {
        status: reply.status,
        headers: reply.headers,
        body: first,
        isText: typeof reply.body === 'string',
        heldBytes: rest === undefined ? undefined : reply.heldBytes,
        hasMore: rest !== undefined,
        isIncomplete: reply.headers?.['x-tercet-warning'] !== undefined,
        isKept: reply.isKept === true,
        workMs: this.#clock.monotonicMs() - startedMs,
      }
      return { answer, transfer: transferOf(first) }
    } finally {
      if (!this.#rests.has(id)) this.#underWay.end(id)
    }
  }

  /** The rest of a body waits to be pulled, unless nobody wants it any more. */
  #keep(id: number, rest: Pieces, signal: AbortSignal): void {
    const letGo = (): void => {
      this.#rests.delete(id)
      void rest.return?.()
    }
    if (signal.aborted) {
      letGo()
      return
    }
    this.#rests.set(id, rest)
    signal.addEventListener('abort', letGo, { once: true })
  }

  async pull(id: number): Promise<Answer<Uint8Array | undefined>> {
    const rest = this.#rests.get(id)
    if (rest === undefined) return { answer: undefined }
    let part: Part
    try {
      part = await gather(rest)
    } catch (error) {
      this.#end(id)
      throw error
    }
    if (part.isLast) this.#end(id)
    // An empty part would be the end.
    if (part.isLast && part.bytes.length === 0) return { answer: undefined }
    return { answer: part.bytes, transfer: transferOf(part.bytes) }
  }

  #end(id: number): void {
    this.#rests.delete(id)
    this.#underWay.end(id)
  }
}

function transferOf(bytes: Uint8Array | undefined): ArrayBuffer[] {
  return bytes?.buffer instanceof ArrayBuffer && bytes.byteLength === bytes.buffer.byteLength ? [bytes.buffer] : []
}

function requestOf(carried: CarriedRequest, signal: AbortSignal): HttpRequest {
  const headers = new Map(carried.headers)
  const query = new URLSearchParams(carried.query)
  const body = (): Promise<Uint8Array> => Promise.resolve(carried.body ?? new Uint8Array(0))
  return {
    method: carried.method,
    path: carried.path,
    params: carried.params,
    query,
    signal,
    header: name => headers.get(name),
    grant: carried.grant,
    body,
    rawBody: body,
    form: () => Promise.resolve(new URLSearchParams(carried.form ?? query)),
  }
}

interface Part {
  bytes: Uint8Array
  isLast: boolean
}

/** The first part of a body, and what is left of it. */
async function begin(body: HttpReply['body']): Promise<{ first: Uint8Array | undefined; rest: Pieces | undefined }> {
  if (body === undefined) return { first: undefined, rest: undefined }
  if (typeof body === 'string') return { first: encode(body), rest: undefined }
  if (body instanceof Uint8Array) return { first: body, rest: undefined }
  const pieces = Symbol.asyncIterator in body ? body[Symbol.asyncIterator]() : body[Symbol.iterator]()
  const { bytes, isLast } = await gather(pieces)
  return { first: bytes, rest: isLast ? undefined : pieces }
}

/** Pieces until they make a part. */
async function gather(pieces: Pieces): Promise<Part> {
  const chunks: Uint8Array[] = []
  let length = 0
  while (length < partBytes) {
    const { done, value } = await pieces.next()
    if (done === true) return { bytes: joined(chunks, length), isLast: true }
    const bytes = typeof value === 'string' ? encode(value) : value
    chunks.push(bytes)
    length += bytes.length
  }
  return { bytes: joined(chunks, length), isLast: false }
}

const encoder = new TextEncoder()
function encode(text: string): Uint8Array {
  return encoder.encode(text)
}

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  if (chunks.length === 1) return chunks[0]!
  const bytes = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}
