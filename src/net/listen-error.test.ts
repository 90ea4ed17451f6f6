/** An address that can't be listened at: one line that says why and what to do, and nothing left open. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { BadDataError, messageOf } from '#core/errors.ts'
import { silentLog } from '#core/log.ts'
import { noAuth as auth } from './auth.ts'
import { listenTcp, listenUdp } from './byte-streams.ts'
import { GrpcServer } from './grpc.ts'
import { HttpServer } from './http.ts'
import { listenError } from './listen-error.ts'

const nothing = { data: () => undefined, close: () => {} }

/** By protocol: listens, and returns the address and what stops it. */
const listeners = {
  http: async (host: string, port: number) => {
    const server = new HttpServer([], [], {
      log: silentLog,
      bodyBytesMax: 1000,
      decodedBytesMax: 1000,
      onError: () => ({ status: 500 }),
      onRequest: () => {},
      monotonicMs: () => 0,
      auth,
      tls: undefined,
    })
    return { address: await server.listen(host, port), stop: () => server.close() }
  },
  grpc: async (host: string, port: number) => {
    const server = new GrpcServer([], 1000, auth, undefined)
    const stop = (): Promise<void> => server.close()
    try {
      return { address: await server.listen(`${host}:${port}`), stop }
    } catch (error) {
      await stop()
      throw error
    }
  },
  tcp: (host: string, port: number) => listenTcp(host, port, undefined, () => nothing),
  udp: (host: string, port: number) => listenUdp(host, port, () => {}),
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1))
}

/** After a turn of the loop, in which handles are closed. */
async function openHandles(): Promise<string[]> {
  await new Promise(resolve => setImmediate(resolve))
  return process.getActiveResourcesInfo().filter(name => name === 'UDPWrap' || name === 'TCPServerWrap')
}

for (const [name, listen] of Object.entries(listeners)) {
  test(`${name}: a port in use, a port that does not exist and a foreign address are one-line errors`, async () => {
    const first = await listen('127.0.0.1', 0)
    const port = portOf(first.address)
    assert.ok(port > 0)
    const before = await openHandles()
    const cases: [host: string, port: number, reason: string][] = [
      ['127.0.0.1', port, 'another process listens there; stop it, or choose another port'],
      ['127.0.0.1', 99_999, 'there is no such port; choose one from 1 to 65535, or 0 for any that is free'],
      ['127.0.0.1', NaN, 'there is no such port; choose one from 1 to 65535, or 0 for any that is free'],
      // Of a net that is set aside for documentation.
      ['192.0.2.1', 0, 'this machine has no such address; 0.0.0.0 stands for all that it has'],
    ]
    try {
      for (const [host, wanted, reason] of cases) {
        const error: unknown = await listen(host, wanted).catch((thrown: unknown) => thrown)
        assert.ok(error instanceof BadDataError, `${host}:${wanted}`)
        assert.equal(error.message, `can't listen at ${host}:${wanted}: ${reason}`)
      }
      assert.deepEqual(await openHandles(), before)
    } finally {
      await first.stop()
    }
    const again = await listen('127.0.0.1', port)
    assert.equal(again.address, `127.0.0.1:${port}`)
    await again.stop()
  })
}

test('what the system says is put into words by code or by text, and passed on where it is new', () => {
  const cases: [error: unknown, message: RegExp][] = [
    [Object.assign(new Error('listen EACCES: permission denied 0.0.0.0:80'), { code: 'EACCES' }), /below 1024/],
    [new Error('No address added: [listen EACCES: permission denied]'), /below 1024/],
    [new Error('Name resolution failed for target dns:nosuch:1'), /the name of the host is not known/],
    [Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' }), /the name of the host is not known/],
    [new Error('EMFILE: too many open files'), /EMFILE: too many open files$/],
    ['text', /: text$/],
  ]
  for (const [error, message] of cases) {
    const wrapped = listenError('[::]:80', error)
    assert.match(wrapped.message, /^can't listen at \[::\]:80: /)
    assert.match(wrapped.message, message, messageOf(error))
    assert.equal(wrapped.cause, error)
  }
})
