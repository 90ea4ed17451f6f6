/** The gRPC server: header of the tenant, credentials, the status of each kind of error, calls that are cancelled. */
import assert from 'node:assert/strict'
import { connect } from 'node:http2'
import test from 'node:test'
import { credentials, makeGenericClientConstructor, Metadata, status, type ServiceError } from '@grpc/grpc-js'
import { MemoryBudget } from '#core/memory-budget.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { known } from './access.ts'
import { Auth, noAuth, oneToken } from './auth.ts'
import { GrpcServer, type GrpcMethod, type GrpcOptions } from './grpc.ts'
import { errorOfEachKind } from './handler-kit.ts'

const asIs = (bytes: Buffer): Buffer => bytes
const service = 'test.Service'

interface Answer {
  code: number
  text: string
}
type OwnMethod = Omit<GrpcMethod, 'service' | 'access'>
type Call = (method: string, message: string, headers?: Record<string, string>) => Promise<Answer>

/** Runs the work against a server with these methods. */
async function serving(
  methods: readonly OwnMethod[],
  work: (call: Call, address: string) => Promise<void>,
  auth = noAuth,
  options?: GrpcOptions,
): Promise<void> {
  const server = new GrpcServer(
    methods.map(method => ({ service, access: known, ...method })),
    1000,
    auth,
    undefined,
    options,
  )
  const address = await server.listen('127.0.0.1:0')
  const client = clientOf(methods, address)
  try {
    await work(client.call, address)
  } finally {
    client.close()
    await server.close()
  }
}

function clientOf(
  methods: readonly OwnMethod[],
  address: string,
): { call: Call; close: () => void; start: (method: string) => () => void } {
  const definitions = Object.fromEntries(
    methods.map(({ method }) => [
      method,
      {
        path: `/${service}/${method}`,
        requestStream: false,
        responseStream: method === 'Stream',
        requestSerialize: asIs,
        requestDeserialize: asIs,
        responseSerialize: asIs,
        responseDeserialize: asIs,
      },
    ]),
  )
  const client = new (makeGenericClientConstructor(definitions, service))(address, credentials.createInsecure())
  const call: Call = (method, message, headers = {}) =>
    new Promise(resolve => {
      const metadata = new Metadata()
      for (const [name, value] of Object.entries(headers)) metadata.set(name, value)
      if (method === 'Stream') {
        const texts: string[] = []
        client
          .makeServerStreamRequest(`/${service}/${method}`, asIs, asIs, Buffer.from(message), metadata)
          .on('data', (answer: Buffer) => texts.push(String(answer)))
          .on('error', (error: ServiceError) => {
            resolve({ code: error.code, text: error.details })
          })
          .on('end', () => {
            resolve({ code: 0, text: texts.join() })
          })
        return
      }
      client.makeUnaryRequest(
        `/${service}/${method}`,
        asIs,
        asIs,
        Buffer.from(message),
        metadata,
        (error: ServiceError | null, answer?: Buffer) => {
          resolve(error === null ? { code: 0, text: String(answer) } : { code: error.code, text: error.details })
        },
      )
    })
  return {
    call,
    close: () => {
      client.close()
    },
    /** Returns what cancels the call. */
    start: method => {
      const running = client.makeUnaryRequest(`/${service}/${method}`, asIs, asIs, Buffer.from(''), () => {})
      return () => {
        running.cancel()
      }
    },
  }
}

test('a handler gets the message and the tenant of its header; its answer goes back, also as a stream', async () => {
  const handler: GrpcMethod['handler'] = async (message, { header }) =>
    Buffer.from(`${Buffer.from(message).toString('utf8')} of ${header('x-scope-orgid') ?? 'nobody'}`)
  await serving(
    [
      { method: 'Unary', handler },
      { method: 'Stream', handler },
    ],
    async call => {
      for (const method of ['Unary', 'Stream']) {
        assert.deepEqual(await call(method, 'hello'), { code: 0, text: 'hello of nobody' })
        assert.deepEqual(await call(method, '', { 'x-scope-orgid': 'a' }), { code: 0, text: ' of a' })
      }
      assert.equal((await call('Unary', 'x'.repeat(1001))).code, status.RESOURCE_EXHAUSTED)
    },
  )
})

test('each kind of error has its status and its message; senders repeat UNAVAILABLE alone', async () => {
  const wanted: Record<keyof typeof errorOfEachKind, status> = {
    'bad-data': status.INVALID_ARGUMENT,
    'bad-query': status.INVALID_ARGUMENT,
    canceled: status.CANCELLED,
    conflict: status.INTERNAL,
    'corrupt-data': status.INVALID_ARGUMENT,
    evaluation: status.INVALID_ARGUMENT,
    execution: status.INVALID_ARGUMENT,
    forbidden: status.PERMISSION_DENIED,
    limit: status.INVALID_ARGUMENT,
    'limit 400': status.INVALID_ARGUMENT,
    'limit 413': status.INVALID_ARGUMENT,
    'limit 422': status.INVALID_ARGUMENT,
    'limit 429': status.UNAVAILABLE,
    'not-found': status.NOT_FOUND,
    timeout: status.DEADLINE_EXCEEDED,
    unauthorized: status.UNAUTHENTICATED,
    unavailable: status.UNAVAILABLE,
    unknown: status.INTERNAL,
  }
  const errors: Readonly<Record<string, Error>> = errorOfEachKind
  const handler: GrpcMethod['handler'] = message => {
    const error = errors[Buffer.from(message).toString('utf8')]
    return Promise.reject(error ?? new Error('no such kind'))
  }
  await serving(
    [
      { method: 'Unary', handler },
      { method: 'Stream', handler },
    ],
    async call => {
      for (const [kind, code] of Object.entries(wanted)) {
        const text = errors[kind]?.message
        assert.deepEqual(await call('Unary', kind), { code, text }, kind)
        assert.deepEqual(await call('Stream', kind), { code, text }, kind)
      }
    },
  )
})

test('calls without the right credentials are unauthenticated, and never reach the handler', async () => {
  let calls = 0
  const handler: GrpcMethod['handler'] = async () => {
    calls++
    return Buffer.from('ok')
  }
  await serving(
    [{ method: 'Unary', handler }],
    async call => {
      assert.deepEqual(await call('Unary', ''), {
        code: status.UNAUTHENTICATED,
        text: 'credentials are missing: send an Authorization header',
      })
      assert.equal((await call('Unary', '', { authorization: 'Bearer no' })).text, 'the bearer token is wrong')
      assert.equal(calls, 0)
      assert.deepEqual(await call('Unary', '', { authorization: 'Bearer t' }), { code: 0, text: 'ok' })
    },
    new Auth([oneToken('t')]),
  )
})

test('a caller that goes away aborts the signal', async () => {
  let onAborted = (): void => {}
  let onStarted = (): void => {}
  const aborted = new Promise<void>(resolve => {
    onAborted = resolve
  })
  const started = new Promise<void>(resolve => {
    onStarted = resolve
  })
  const methods: OwnMethod[] = [
    {
      method: 'Slow',
      handler: (_message, _tenant, signal) =>
        new Promise(resolve => {
          signal.addEventListener('abort', () => {
            onAborted()
            resolve(new Uint8Array(0))
          })
          onStarted()
        }),
    },
  ]
  await serving(methods, async (_call, address) => {
    const client = clientOf(methods, address)
    const cancel = client.start('Slow')
    await started
    cancel()
    await aborted
    client.close()
  })
})

test('requests and answers draw on the memory; a caller that takes no answer, however short, is given up', async () => {
  const clock = new VirtualClock(0)
  const one = { heads: 1, caches: 1, bodies: 1, queries: 1, answers: 1, tails: 1, other: 1 }
  const memory = new MemoryBudget(1000, one)
  let slowReaders = 0
  const options = { clock, memory, writeTimeoutMs: 30_000, onSlowReader: () => slowReaders++ }
  const held: number[] = []
  const methods: OwnMethod[] = [
    {
      method: 'Stream',
      handler: async message => {
        held.push(memory.account('bodies').heldBytes)
        return new Uint8Array(message.length)
      },
    },
  ]
  const work = async (call: Call, address: string): Promise<void> => {
    assert.equal((await call('Stream', 'x'.repeat(400))).code, status.OK)
    assert.deepEqual([held, memory.heldBytes], [[400], 0])
    memory.account('heads').take(700)
    assert.equal((await call('Stream', 'x'.repeat(400))).code, status.UNAVAILABLE)
    memory.account('heads').give(700)
    // A window of ten bytes that is never opened further.
    const session = connect(`http://${address}`, { settings: { initialWindowSize: 10 } })
    session.on('error', () => {})
    await new Promise(resolve => session.once('remoteSettings', resolve))
    const stream = session.request({
      ':method': 'POST',
      ':path': `/${service}/Stream`,
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    stream.on('error', () => {})
    stream.pause()
    const message = Buffer.alloc(5 + 300)
    message.writeUInt32BE(300, 1)
    stream.end(message)
    while (memory.account('answers').heldBytes < 300) await new Promise(setImmediate)
    await clock.advance(29_000)
    assert.deepEqual([slowReaders, memory.heldBytes], [0, 300])
    await clock.advance(1001)
    assert.deepEqual([slowReaders, memory.heldBytes], [1, 0])
    session.destroy()
  }
  await serving(methods, work, undefined, options)
})
