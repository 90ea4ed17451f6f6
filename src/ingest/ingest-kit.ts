/** For tests of push protocols: a request to one of their routes, and a door that keeps what it is given. */
import { UnauthorizedError } from '#core/errors.ts'
import { everything, type Caller } from '#net/access.ts'
import { ask, type ReadReply } from '#net/handler-kit.ts'
import type { Handler } from '#net/route-table.ts'
import type { ServedProtocol, TenantOf } from './protocol.ts'

export interface Sent {
  method?: 'POST' | 'PUT' | 'GET'
  /** With its query. */
  path: string
  /** Their names in lower case. */
  headers?: Readonly<Record<string, string>>
  body?: string | Uint8Array
}

/** The tenant of a header; `nobody` is refused, no header is the tenant `default`. */
export const tenantOf: TenantOf = caller => {
  const header = caller.header('x-scope-orgid')
  if (header === 'nobody') throw new UnauthorizedError('no org id')
  return header ?? 'default'
}

export async function send(
  served: ServedProtocol,
  { method = 'POST', path, headers = {}, body }: Sent,
): Promise<ReadReply> {
  const [own = '', query = ''] = path.split('?')
  const route = served.routes.find(r => r.path === own && r.methods.includes(method))
  if (route === undefined) throw new Error(`no route ${method} ${own}`)
  const { finish, handler } = route
  const finishing: Handler = async request => {
    const reply = await handler(request)
    return finish === undefined ? reply : finish(reply, request.header)
  }
  return ask(finishing, { method, path: own, query, headers, ...(body === undefined ? {} : { body }) })
}

/** Status and body in one line: `204 `. */
export async function answerOf(served: ServedProtocol, sent: Sent): Promise<string> {
  const { status, body } = await send(served, sent)
  return `${status} ${body.trimEnd()}`
}

/** What a failure says, as text or as OTLP's Status in JSON. */
export function failureText(body: string): string {
  return body.startsWith('{"code":') ? (JSON.parse(body) as { message: string }).message : body.trimEnd()
}

/** A call over gRPC: the response in hexadecimal digits, or the error with its kind. */
export async function call(
  served: ServedProtocol,
  service: string,
  message: Uint8Array,
  header?: string,
): Promise<string> {
  const method = served.grpc.find(m => m.service === service)
  if (method === undefined) throw new Error(`no service ${service}`)
  try {
    const caller: Caller = { header: name => (name === 'x-scope-orgid' ? header : undefined), grant: everything }
    return Buffer.from(await method.handler(message, caller, new AbortController().signal)).toString('hex')
  } catch (error) {
    if (error instanceof Error && 'kind' in error) return `${String(error.kind)}: ${error.message}`
    throw error
  }
}

/** What stands in a route's place in lists of paths: `POST /api/v1/write`. Without OTLP's refusals of other methods. */
export function pathsOf(served: ServedProtocol): string[] {
  const isRefusal = (place: string): boolean => /^(GET|PUT|DELETE) .*\/v1\/(logs|metrics|traces)$/.test(place)
  return served.routes
    .flatMap(r => r.methods.map(method => `${method} ${r.path}`))
    .filter(place => !isRefusal(place))
    .sort()
}
