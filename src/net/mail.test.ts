/** Mail: what a server is sent, and addresses that no mail goes to. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, isIP, type AddressInfo, type Server } from 'node:net'
import { after, before, test } from 'node:test'
import { systemClock } from '#core/clock.ts'
import { BadDataError } from '#core/errors.ts'
import { sendMail, type Mail, type MailWorld } from './mail.ts'
import { OutgoingGuard, type Lookup } from './outgoing-guard.ts'

let connections = 0
let text = ''
/** Takes every mail. */
const server: Server = createServer(socket => {
  connections++
  let isData = false
  socket.write('220 here\r\n')
  socket.on('data', chunk => {
    text += chunk.toString()
    if (isData) {
      isData = !text.endsWith('\r\n.\r\n')
      if (!isData) socket.write('250 taken\r\n')
      return
    }
    isData = /^DATA/i.test(chunk.toString())
    socket.write(isData ? '354 go on\r\n' : '250 fine\r\n')
    if (/^QUIT/i.test(chunk.toString())) socket.end()
  })
})
let port = 0
before(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
})
after(() => {
  server.close()
})

const mailTo = (host: string): Mail => ({
  host,
  port,
  hello: 'tercet.test',
  username: '',
  password: '',
  requireTls: false,
  implicitTls: false,
  isUnverified: false,
  from: 'alerts@tercet.test',
  to: 'me@tercet.test',
  subject: 'one alert',
  text: 'it burns',
  html: '',
  headers: {},
})
const worldOf = (guard: OutgoingGuard): MailWorld => ({ guard, clock: systemClock })
const resolvingTo =
  (address: string): Lookup =>
  (_hostname, _options, callback) => {
    callback(null, [{ address, family: isIP(address) }])
  }

test('a mail goes to the address that the guard has looked at', async () => {
  await sendMail(mailTo('mail.test'), worldOf(new OutgoingGuard({ lookup: resolvingTo('127.0.0.1') })))
  assert.match(text, /Subject: one alert/)
  assert.match(text, /it burns/)
})

test('no mail goes to addresses that are refused, written as such or behind a name', async () => {
  const before = connections
  for (const host of ['169.254.169.254', '::ffff:169.254.169.254', '0.0.0.0', '2852039166', '0xa9fea9fe'])
    await assert.rejects(sendMail(mailTo(host), worldOf(new OutgoingGuard())), BadDataError, host)
  const guard = new OutgoingGuard({ lookup: resolvingTo('169.254.169.254') })
  await assert.rejects(
    sendMail(mailTo('mail.test'), worldOf(guard)),
    /^BadDataError: no connection to mail\.test: 169\.254/,
  )
  assert.equal(connections, before)
})
