/** DNS as discovery asks it, of a name server on the loopback that answers by type. */
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { getServers, setServers } from 'node:dns/promises'
import { once } from 'node:events'
import { syncBuiltinESMExports } from 'node:module'
import test from 'node:test'
import { systemResolver } from './resolver.ts'

function nameOf(text: string): Buffer {
  const labels = text.split('.').map(label => Buffer.concat([Buffer.of(label.length), Buffer.from(label)]))
  return Buffer.concat([...labels, Buffer.of(0)])
}

/** The data of the one record that each type has: A, NS, MX, AAAA, SRV. */
const records: Readonly<Record<number, Buffer>> = {
  1: Buffer.of(10, 0, 0, 7),
  2: nameOf('ns.example'),
  15: Buffer.concat([Buffer.of(0, 10), nameOf('mail.example')]),
  28: Buffer.from('fd000000000000000000000000000007', 'hex'),
  33: Buffer.concat([Buffer.of(0, 1, 0, 2, 0x20, 0xec), nameOf('host.example')]),
}

/** The question again, and its record; nothing but a status for names that begin with `nosuch`. */
function answerTo(question: Buffer): Buffer {
  let end = 12
  while (question[end] !== 0) end += (question[end] ?? 0) + 1
  end += 5
  const asked = question.subarray(12, end)
  const data = records[question.readUInt16BE(end - 4)]
  const isKnown = data !== undefined && asked.toString('latin1', 1, 7) !== 'nosuch'
  const header = Buffer.from(question.subarray(0, 12))
  header.writeUInt16BE(isKnown ? 0x8180 : 0x8183, 2)
  header.writeUInt16BE(isKnown ? 1 : 0, 6)
  header.writeUInt32BE(0, 8)
  if (!isKnown) return Buffer.concat([header, asked])
  const record = Buffer.alloc(12)
  record.writeUInt16BE(0xc00c, 0)
  asked.copy(record, 2, asked.length - 4)
  record.writeUInt32BE(60, 6)
  record.writeUInt16BE(data.length, 10)
  return Buffer.concat([header, asked, record, data])
}

test('each kind of record is read, and a name that does not exist is an error whatever is asked for it', async () => {
  const server = createSocket('udp4')
  server.on('message', (question, { port, address }) => {
    server.send(answerTo(question), port, address)
  })
  server.bind(0, '127.0.0.1')
  await once(server, 'listening')
  const before = getServers()
  setServers([`127.0.0.1:${server.address().port}`])
  // The functions that a module has imported are those of the servers before.
  syncBuiltinESMExports()
  try {
    const questions: [ask: (name: string) => Promise<unknown>, answer: unknown][] = [
      [systemResolver.srv, [{ name: 'host.example', port: 8428, priority: 1, weight: 2, type: 'SRV' }]],
      [name => systemResolver.addresses(name, 4), ['10.0.0.7']],
      [name => systemResolver.addresses(name, 6), ['fd00::7']],
      [systemResolver.mx, ['mail.example']],
      [systemResolver.ns, ['ns.example']],
    ]
    for (const [ask, answer] of questions) {
      assert.deepEqual(await ask('known.example'), answer)
      await assert.rejects(ask('nosuch.example'), { code: 'ENOTFOUND' })
    }
  } finally {
    setServers(before)
    syncBuiltinESMExports()
    server.close()
  }
})
