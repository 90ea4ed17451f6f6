/** What servers need for TLS. */

/** PEM texts. With `clientCa`, only clients with a certificate that it signed get in. */
export interface TlsOptions {
  readonly cert: string
  readonly key: string
  readonly clientCa: string | undefined
}

interface SecureOptions {
  cert: string
  key: string
  ca?: string
  requestCert?: true
  rejectUnauthorized?: true
}

/** As Node's servers take them. */
export function secureOptions({ cert, key, clientCa }: TlsOptions): SecureOptions {
  return clientCa === undefined
    ? { cert, key }
    : { cert, key, ca: clientCa, requestCert: true, rejectUnauthorized: true }
}
