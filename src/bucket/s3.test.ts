/** Answers of an S3 store as errors of ours, from a server of this test. */
import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { systemClock } from '#core/clock.ts'
import { ConflictError, NotFoundError } from '#core/errors.ts'
import { BucketError } from './bucket.ts'
import { codeOf } from './failure-code.ts'
import { openS3, type S3Bucket } from './s3.ts'

async function withStore(
  answer: (request: IncomingMessage, reply: ServerResponse) => void,
  work: (bucket: S3Bucket) => Promise<void>,
): Promise<void> {
  const server = createServer(answer)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const bucket = await openS3({
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    region: 'us-east-1',
    bucket: 'b',
    credentials: { isChanging: false, read: () => Promise.resolve({ accessKeyId: 'a', secretAccessKey: 's' }) },
    pathStyle: true,
    clock: systemClock,
  })
  try {
    await work(bucket)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

function refuse(reply: ServerResponse, status: number, code: string): void {
  reply.writeHead(status, { 'content-type': 'application/xml' })
  reply.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>no</Message></Error>`)
}

test('what can not succeed later is not tried again', async () => {
  const cases: [
    status: number,
    code: string,
    kind: typeof BucketError | typeof NotFoundError | typeof ConflictError,
  ][] = [
    [404, 'NoSuchKey', NotFoundError],
    [412, 'PreconditionFailed', ConflictError],
    [403, 'AccessDenied', BucketError],
    [404, 'NoSuchBucket', BucketError],
  ]
  for (const [status, code, kind] of cases) {
    let asked = 0
    await withStore(
      (_, reply) => {
        asked++
        refuse(reply, status, code)
      },
      async bucket => {
        await assert.rejects(bucket.get('k'), (error: unknown) => {
          assert.ok(error instanceof kind, String(error))
          if (error instanceof BucketError)
            assert.deepEqual([error.operation, error.code, error.transient], ['get', code, false])
          return true
        })
      },
    )
    assert.equal(asked, 1, code)
  }
})

test('a size in a bucket that is gone is no object that is missing, though HEAD answers the same', async () => {
  for (const [code, kind] of [
    ['NoSuchKey', NotFoundError],
    ['NoSuchBucket', BucketError],
  ] as const)
    await withStore(
      ({ method }, reply) => {
        if (method === 'HEAD') reply.writeHead(404).end()
        else refuse(reply, 404, code)
      },
      async bucket => {
        await assert.rejects(bucket.size('k'), kind, code)
      },
    )
})

test('what may succeed later is tried again', async () => {
  let asked = 0
  await withStore(
    (_, reply) => {
      if (++asked < 3) refuse(reply, 503, 'SlowDown')
      else reply.end('hello')
    },
    async bucket => {
      assert.equal(Buffer.from(await bucket.get('k')).toString(), 'hello')
    },
  )
  assert.equal(asked, 3)
})

test('a range behind the end is empty; deleting what is not there is no error', async () => {
  await withStore(
    (request, reply) => {
      if (request.method === 'DELETE') refuse(reply, 404, 'NoSuchKey')
      else refuse(reply, 416, 'InvalidRange')
    },
    async bucket => {
      assert.equal((await bucket.getRange('k', 10, 5)).length, 0)
      await bucket.delete('k')
    },
  )
})

test('codes of errors: the store’s, the network’s, or none', () => {
  const cases: [error: unknown, code: string, status: number | undefined][] = [
    [Object.assign(new Error('x'), { name: 'AccessDenied', $metadata: { httpStatusCode: 403 } }), 'AccessDenied', 403],
    [Object.assign(new Error('x'), { code: 'ECONNREFUSED' }), 'ECONNREFUSED', undefined],
    ['text', 'unknown', undefined],
  ]
  for (const [error, code, status] of cases) assert.deepEqual(codeOf(error), { code, status })
})
