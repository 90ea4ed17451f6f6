/** Answers of the APIs that discoveries ask. */
import { BadDataError } from '#core/errors.ts'
import type { HttpClient } from '#net/http-client.ts'

const replyBytesMax = 64 * 1024 * 1024

/** The JSON value that a URL answers with. Throws BadDataError when it answers anything but 200 and JSON. */
export async function fetchJson(
  client: HttpClient,
  url: string,
  headers: Record<string, string> = {},
): Promise<unknown> {
  const reply = await client.send(url, {
    headers: { accept: 'application/json', ...headers },
    timeoutMs: 30_000,
    bodyBytesMax: replyBytesMax,
  })
  if (reply.status !== 200) throw new BadDataError(`${url} answered ${reply.status}`)
  try {
    return JSON.parse(Buffer.from(reply.body).toString('utf8'))
  } catch {
    throw new BadDataError(`${url} did not answer with JSON`)
  }
}
