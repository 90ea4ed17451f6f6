/** TCP, TLS and UDP servers: bytes arrive in order, every connection is closed once, and stopping ends all. */
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import test from 'node:test'
import { listenTcp, listenUdp, type ByteReceiver } from './byte-streams.ts'

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1))
}

/** Collects what connections send; `closed` resolves when so many have ended. */
class Receivers {
  readonly texts: string[] = []
  closes = 0
  #waiting: { count: number; run: () => void }[] = []

  readonly connect = (): ByteReceiver => {
    const number = this.texts.push('') - 1
    return {
      data: bytes => {
        this.texts[number] += Buffer.from(bytes).toString('utf8')
        return undefined
      },
      close: () => {
        this.closes++
        for (const { count, run } of this.#waiting) if (this.closes >= count) run()
      },
    }
  }

  closed(count: number): Promise<void> {
    return new Promise(resolve => {
      if (this.closes >= count) resolve()
      else this.#waiting.push({ count, run: resolve })
    })
  }
}

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {
    // Reset by the server, when it stops.
  })
  await once(socket, 'connect')
  return socket
}

test('connections are kept apart, and closed once each whatever ended them', async () => {
  const receivers = new Receivers()
  const server = await listenTcp('127.0.0.1', 0, undefined, receivers.connect)
  const ended = await open(portOf(server.address))
  ended.end('first')
  await receivers.closed(1)
  const reset = await open(portOf(server.address))
  reset.write('second')
  reset.resetAndDestroy()
  await receivers.closed(2)
  const left = await open(portOf(server.address))
  // The server has the connection once it has its bytes.
  left.write('third')
  await new Promise<void>(resolve => {
    const look = (): void => {
      if (receivers.texts[2] === 'third') resolve()
      else setImmediate(look)
    }
    look()
  })
  await server.stop()
  await receivers.closed(3)
  assert.equal(receivers.closes, 3)
  assert.equal(receivers.texts[0], 'first')
  await assert.rejects(open(portOf(server.address)), { code: 'ECONNREFUSED' })
})

test('nothing is read from a connection while its receiver has no room', async () => {
  let isFull = false
  let received = 0
  let calls = 0
  const closed = Promise.withResolvers<void>()
  const server = await listenTcp('127.0.0.1', 0, undefined, () => ({
    data: bytes => {
      assert.ok(!isFull)
      isFull = true
      received += bytes.length
      calls++
      return new Promise(resolve => {
        setImmediate(() => {
          isFull = false
          resolve()
        })
      })
    },
    close: () => {
      closed.resolve()
    },
  }))
  const socket = await open(portOf(server.address))
  socket.end(Buffer.alloc(4 << 20))
  await closed.promise
  assert.equal(received, 4 << 20)
  assert.ok(calls > 10)
  await server.stop()
})

test('datagrams arrive whole until the server stops', async () => {
  const seen: string[] = []
  let onSeen = (): void => {}
  const server = await listenUdp('127.0.0.1', 0, bytes => {
    seen.push(Buffer.from(bytes).toString('utf8'))
    onSeen()
  })
  const client = createSocket('udp4')
  for (const text of ['one', 'two\nlines']) {
    const arrived = new Promise<void>(resolve => {
      onSeen = resolve
    })
    client.send(text, portOf(server.address), '127.0.0.1')
    await arrived
  }
  assert.deepEqual(seen, ['one', 'two\nlines'])
  client.close()
  await server.stop()
})
