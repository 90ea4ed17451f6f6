/** Failures of OTLP's endpoints: a google.rpc.Status in the request's own encoding, for all signals. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { LimitError, UnauthorizedError, UnavailableError } from '#core/errors.ts'
import type { HttpReply } from '#net/route-table.ts'
import { encodeStatus } from '#wire/otlp/metrics.ts'
import { send } from './ingest-kit.ts'
import { asOtlp, otlpFormat, otlpMediaType } from './otlp.ts'
import { mediaTypeOf, serve, type ServedProtocol } from './protocol.ts'

/** One path, whose body `store` judges. */
function serving(store: (body: string) => HttpReply): ServedProtocol {
  return asOtlp(
    serve(
      {
        formatOf: request => otlpFormat(mediaTypeOf(request, otlpMediaType)),
        store: body => Promise.resolve(store(Buffer.from(body).toString())),
        reply: reply => reply,
      },
      { methods: ['POST'], paths: ['/v1/logs'] },
      { signal: 'logs', append: () => Promise.resolve(undefined), tenantOf: () => '' },
    ),
  )
}

function throwing(error: Error): ServedProtocol {
  return serving(() => {
    throw error
  })
}

const failures: [served: ServedProtocol, status: number, code: number, message: string][] = [
  [serving(() => ({ status: 400, body: 'refused\n' })), 400, 3, 'refused'],
  [throwing(new UnauthorizedError('who?')), 401, 16, 'who?'],
  [throwing(new LimitError('too long', 413)), 413, 8, 'too long'],
  [throwing(new LimitError('too fast', 429)), 429, 8, 'too fast'],
  [throwing(new UnavailableError('full', 5)), 503, 14, 'full'],
  [throwing(new Error('a bug')), 500, 13, 'a bug'],
]

test('a failure is a Status: JSON for JSON, protobuf for protobuf and for no type at all', async () => {
  for (const [served, status, code, message] of failures) {
    for (const type of ['application/json', 'Application/JSON; charset=utf-8']) {
      const reply = await send(served, { path: '/v1/logs', headers: { 'content-type': type }, body: 'x' })
      assert.deepEqual(
        [reply.status, reply.headers['content-type'], JSON.parse(reply.body)],
        [status, 'application/json', { code, message }],
      )
      assert.equal(reply.headers['retry-after'] !== undefined, status === 429 || status === 503)
    }
    for (const headers of [{ 'content-type': otlpMediaType }, {}]) {
      const reply = await send(served, { path: '/v1/logs', headers, body: 'x' })
      assert.deepEqual(
        [reply.status, reply.headers['content-type'], reply.body],
        [status, otlpMediaType, Buffer.from(encodeStatus(code, message)).toString()],
      )
    }
  }
  assert.equal(Buffer.from(encodeStatus(3, 'no')).toString('hex'), '080312026e6f')
})

test('answers that are no failures stay, unknown types get text, other methods are refused', async () => {
  const served = serving(body => ({ status: 200, headers: { 'content-type': 'x/y' }, body }))
  assert.deepEqual(await send(served, { path: '/v1/logs', body: 'b' }), {
    status: 200,
    headers: { 'content-type': 'x/y' },
    body: 'b',
  })
  const unknown = await send(served, { path: '/v1/logs', headers: { 'content-type': 'text/plain' }, body: 'b' })
  assert.deepEqual([unknown.status, unknown.headers['content-type']], [415, 'text/plain; charset=utf-8'])
  for (const method of ['GET', 'PUT'] as const) {
    const { status, headers } = await send(served, { method, path: '/v1/logs' })
    assert.deepEqual([status, headers['allow']], [405, 'POST'])
  }
})
