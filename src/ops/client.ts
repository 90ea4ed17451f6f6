/** Requests to a running process, whose failures name the address and the reason. */
import { messageOf, UnavailableError } from '#core/errors.ts'
import { maskUrls } from '#core/secret.ts'

/** `http://127.0.0.1:1 can't be reached: connect ECONNREFUSED 127.0.0.1:1`. */
export function unreachable(url: string, error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  // Both addresses of a name were tried: the list has the reasons.
  const reason =
    cause instanceof AggregateError && cause.message === '' ? cause.errors.map(messageOf).join(', ') : messageOf(cause)
  return maskUrls(`${url} can't be reached: ${schemeHint(url, reason) ?? reason}`)
}

/** One of both ends speaks TLS: what Node and OpenSSL say of that names neither. */
function schemeHint(url: string, reason: string): string | undefined {
  if (url.startsWith('http:') && reason === 'other side closed')
    return 'it closed the connection at once; where it speaks TLS, the address is https://'
  return reason.includes('wrong version number') ? 'it does not speak TLS: the address is http://' : undefined
}

/** A running process, and what every request to it carries: credentials, the tenant. */
export interface Server {
  url: string
  headers?: Readonly<Record<string, string>>
}

/** `path` begins with a slash. Throws UnavailableError where there is no answer at all, or credentials are missing. */
export async function request(server: Server, path: string, init: RequestInit = {}): Promise<Response> {
  const base = server.url.replace(/\/+$/, '')
  const headers = { ...server.headers, ...(init.headers as Record<string, string> | undefined) }
  const reply = await fetchFrom(base, path, { ...init, headers })
  if (reply.status === 401) throw new UnavailableError(refusedCredentials(base, server), 0)
  return reply
}

/** What to do about an answer of 401. */
export function refusedCredentials(url: string, { headers = {} }: Pick<Server, 'headers'>): string {
  return headers['authorization'] === undefined
    ? `${maskUrls(url)} asks for credentials: --username and --password-file, or --bearer-token-file`
    : `${maskUrls(url)} refuses these credentials`
}

async function fetchFrom(base: string, path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(base + path, init)
  } catch (error) {
    throw new UnavailableError(`${unreachable(base, error)}; is it running, and is the address right?`, 0, {
      cause: error,
    })
  }
}

/** A form, posted. */
export function form(fields: Readonly<Record<string, string>>): RequestInit {
  return { method: 'POST', body: new URLSearchParams(fields) }
}

export interface RangeSeries {
  metric: Record<string, string>
  /** Unix seconds and the value as text. */
  values?: [number, string][]
}
/** An answer of the Prometheus API. */
export interface PrometheusAnswer {
  status: string
  error?: string
  warnings?: string[]
  data?: {
    resultType: string
    result: (RangeSeries & { value?: [number, string] })[] | [number, string]
  }
}

/** Throws UnavailableError where nobody answers, or not in JSON: then it is not such an API. */
export async function askPrometheus(
  server: Server,
  path: string,
  fields: Readonly<Record<string, string>>,
): Promise<PrometheusAnswer> {
  const reply = await request(server, path, form(fields))
  const text = await reply.text()
  try {
    const answer = JSON.parse(text) as PrometheusAnswer
    return answer.status === 'success' || answer.error !== undefined
      ? answer
      : { ...answer, error: `status ${reply.status}` }
  } catch (error) {
    throw new UnavailableError(
      `${server.url}${path} answered ${reply.status}, and not in JSON: ${text.trim().slice(0, 200)}`,
      0,
      { cause: error },
    )
  }
}
