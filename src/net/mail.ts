/** Mail over SMTP, with STARTTLS where it is wanted or offered. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Clock } from '#core/clock.ts'
import type { OutgoingGuard } from './outgoing-guard.ts'

export interface Mail {
  host: string
  port: number
  hello: string
  username: string
  password: string
  requireTls: boolean
  implicitTls: boolean
  isUnverified: boolean
  from: string
  to: string
  subject: string
  text: string
  html: string
  headers: Readonly<Record<string, string>>
}

/** What decides where a mail may go, and how long a connection is waited for. */
export interface MailWorld {
  guard: OutgoingGuard
  clock: Clock
}

const connectMs = 30_000

/** A connection without TLS, to an address that the guard has looked at. */
async function connectTo({ host, port }: Mail, { guard, clock }: MailWorld): Promise<Socket> {
  guard.checkHost(host)
  const socket = connect({ host, port, lookup: guard.lookup })
  // One that comes before the library listens is met by the library, when it writes.
  socket.on('error', () => {})
  const timer = clock.after(connectMs, () => {
    socket.destroy(new Error(`${host}:${port} takes no connection within ${connectMs / 1000} s`))
  })
  try {
    await once(socket, 'connect')
    return socket
  } finally {
    timer.cancel()
  }
}

/**
 * Throws when the server does not take it, BadDataError where the guard refuses its address. The library is loaded with
 * the first mail: most processes send none.
 */
export async function sendMail(mail: Mail, world: MailWorld): Promise<void> {
  const { createTransport } = await import('nodemailer')
  // The library would resolve the name itself.
  const connection = await connectTo(mail, world)
  const transport = createTransport({
    host: mail.host,
    port: mail.port,
    secure: mail.implicitTls || mail.port === 465,
    requireTLS: mail.requireTls,
    ignoreTLS: false,
    ...(mail.hello === '' ? {} : { name: mail.hello }),
    ...(mail.username === '' ? {} : { auth: { user: mail.username, pass: mail.password } }),
    tls: { rejectUnauthorized: !mail.isUnverified },
    getSocket: (_options, callback) => {
      callback(null, { connection })
    },
    connectionTimeout: connectMs,
    socketTimeout: 30_000,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  try {
    await transport.sendMail({
      from: mail.from,
      to: mail.to,
      subject: mail.subject,
      ...(mail.text === '' ? {} : { text: mail.text }),
      ...(mail.html === '' ? {} : { html: mail.html }),
      headers: mail.headers,
    })
  } finally {
    transport.close()
    connection.destroy()
  }
}
