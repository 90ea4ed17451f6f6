/** Answers of the APIs that discoveries ask. */
import { BadDataError, messageOf } from '#core/errors.ts'
import { checkJson } from '#core/json-body.ts'
import { maskUrls } from '#core/secret.ts'
import type { HttpClient } from '#net/http-client.ts'

const replyBytesMax = 64 * 1024 * 1024

/** The JSON value of an answer, counted first. Throws BadDataError. */
export function parseAnswer(body: Uint8Array, of: string): unknown {
  try {
    checkJson(body)
  } catch (error) {
    throw new BadDataError(`the answer of ${of} is refused: ${messageOf(error)}`, { cause: error })
  }
  try {
    return JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.length).toString('utf8'))
  } catch {
    throw new BadDataError(`${of} did not answer with JSON`)
  }
}

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
  if (reply.status !== 200) throw new BadDataError(`${maskUrls(url)} answered ${reply.status}`)
  return parseAnswer(reply.body, maskUrls(url))
}
