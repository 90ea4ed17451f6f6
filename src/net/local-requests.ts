/** Requests of the process itself: the same routes as over HTTP, without a socket and without credentials. */
import { LimitError } from '#core/errors.ts'
import { everything } from './access.ts'
import type { HttpServerOptions } from './http.ts'
import type { HttpReply, HttpRequest, Method, Route } from './route-table.ts'
import { Router } from './router.ts'

export interface LocalRequest {
  method: Method
  path: string
  /** Of the URL, and of a form. */
  query: URLSearchParams
  /** Names in lower case. */
  headers: Readonly<Record<string, string>>
  body: Uint8Array
}

export interface LocalReply {
  status: number
  headers: Readonly<Record<string, string>>
  body: Uint8Array
}

type Options = Pick<HttpServerOptions, 'bodyBytesMax' | 'onError' | 'onRequest' | 'monotonicMs'>

export class LocalRequests {
  readonly #router = new Router<Route>()
  readonly #options: Options

  /** Throws where two routes have the same method and path. */
  constructor(routes: readonly Route[], options: Options) {
    this.#options = options
    for (const route of routes) for (const method of route.methods) this.#router.add(method, route.path, route)
  }

  /** An error of the handler is the reply that HTTP would give. Rejects where a body fails while it is made. */
  async answer(local: LocalRequest): Promise<LocalReply> {
    const match = this.#router.find(local.method, local.path)
    if (match === undefined) return { status: 404, headers: {}, body: Buffer.from('404 page not found\n') }
    const { value: route, params } = match
    const { onRequest, onError, monotonicMs, bodyBytesMax } = this.#options
    const startedMs = monotonicMs()
    const request = wrap(local, params, bodyBytesMax)
    const made = await route.handler(request).catch((error: unknown) => onError(error, request))
    onRequest(route.path, made.status, (monotonicMs() - startedMs) / 1000)
    const { status, headers = {}, body } = route.finish?.(made, request.header) ?? made
    return { status, headers, body: await whole(body) }
  }
}

function wrap({ method, path, query, headers, body }: LocalRequest, params: Record<string, string>, most: number) {
  const read = async (): Promise<Uint8Array> => {
    if (body.length > most) throw new LimitError(`the body has ${body.length} bytes, the limit is ${most}`, 413)
    return body
  }
  const request: HttpRequest = {
    method,
    path,
    params,
    query,
    header: name => headers[name],
    grant: everything,
    body: read,
    rawBody: read,
    form: async () => new URLSearchParams(query),
    signal: new AbortController().signal,
  }
  return request
}

async function whole(body: HttpReply['body']): Promise<Uint8Array> {
  if (body === undefined) return new Uint8Array(0)
  if (body instanceof Uint8Array) return body
  if (typeof body === 'string') return Buffer.from(body)
  const pieces: Uint8Array[] = []
  for await (const piece of body) pieces.push(typeof piece === 'string' ? Buffer.from(piece) : piece)
  return Buffer.concat(pieces)
}
