/** Mail over SMTP, with STARTTLS where it is wanted or offered. */

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

/** Throws when the server does not take it. The library is loaded with the first mail: most processes send none. */
export async function sendMail(mail: Mail): Promise<void> {
  const { createTransport } = await import('nodemailer')
  const transport = createTransport({
    host: mail.host,
    port: mail.port,
    secure: mail.implicitTls || mail.port === 465,
    requireTLS: mail.requireTls,
    ignoreTLS: false,
    ...(mail.hello === '' ? {} : { name: mail.hello }),
    ...(mail.username === '' ? {} : { auth: { user: mail.username, pass: mail.password } }),
    tls: { rejectUnauthorized: !mail.isUnverified },
    connectionTimeout: 30_000,
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
  }
}
