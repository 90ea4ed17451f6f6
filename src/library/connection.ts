/** A Tercet that runs as a server, asked over HTTP. */
import { systemClock } from '#core/clock.ts'
import { BadDataError } from '#core/errors.ts'
import { Client } from './client.ts'
import type { Telemetry } from './telemetry.ts'

export interface ConnectionOptions {
  /** Sent with every request: credentials, the tenant. */
  headers?: Readonly<Record<string, string>>
  /** Of one request. Default: 60,000. */
  timeoutMs?: number
}

/**
 * Opens nothing: each request is a connection of its own, or one that the runtime keeps. Throws BadDataError for what
 * is no URL.
 */
export function connectTercet(
  url: string,
  { headers: common = {}, timeoutMs = 60_000 }: ConnectionOptions = {},
): Telemetry {
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? ''))
    throw new BadDataError(`${url} is no URL like http://127.0.0.1:8428`)
  const base = url.replace(/\/+$/, '')
  return new Client(async ({ method = 'GET', path, parameters = {}, headers = {}, body }) => {
    const query = new URLSearchParams(parameters).toString()
    const reply = await fetch(`${base}${path}${query === '' ? '' : `?${query}`}`, {
      method,
      headers: { ...common, ...headers },
      signal: AbortSignal.timeout(timeoutMs),
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : Uint8Array.from(body) }),
    })
    return {
      status: reply.status,
      header: name => reply.headers.get(name) ?? undefined,
      body: new Uint8Array(await reply.arrayBuffer()),
    }
  }, systemClock)
}
