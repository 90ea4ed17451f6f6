/** Requests to a running process, whose failures name the address and the reason. */
import { messageOf, UnavailableError } from '#core/errors.ts'

/** `http://127.0.0.1:1 can't be reached: connect ECONNREFUSED 127.0.0.1:1`. */
export function unreachable(url: string, error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  // Both addresses of a name were tried: the list has the reasons.
  const reason =
    cause instanceof AggregateError && cause.message === '' ? cause.errors.map(messageOf).join(', ') : messageOf(cause)
  return `${url} can't be reached: ${reason}`
}

/** `path` begins with a slash. Throws UnavailableError where there is no answer at all. */
export async function request(url: string, path: string, init: RequestInit = {}): Promise<Response> {
  const base = url.replace(/\/+$/, '')
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
  url: string,
  path: string,
  fields: Readonly<Record<string, string>>,
): Promise<PrometheusAnswer> {
  const reply = await request(url, path, form(fields))
  const text = await reply.text()
  try {
    const answer = JSON.parse(text) as PrometheusAnswer
    return answer.status === 'success' || answer.error !== undefined
      ? answer
      : { ...answer, error: `status ${reply.status}` }
  } catch (error) {
    throw new UnavailableError(
      `${url}${path} answered ${reply.status}, and not in JSON: ${text.trim().slice(0, 200)}`,
      0,
      { cause: error },
    )
  }
}
