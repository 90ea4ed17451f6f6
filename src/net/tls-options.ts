/** Certificates of servers, checked, handed to each listener, and replaced while connections go on. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContextOptions, type Server } from 'node:tls'
import { BadDataError, messageOf } from '#core/errors.ts'

/** PEM texts. `clientCa`: authorities, whose clients may get in. */
export interface CertificateTexts {
  readonly cert: string
  readonly key: string
  readonly clientCa: string | undefined
}

/** Whether a client shows a certificate: it is not asked, it may, or it must. */
export const clientAuths = ['none', 'optional', 'required'] as const
export type ClientAuth = (typeof clientAuths)[number]

export const tlsVersions = ['TLSv1.2', 'TLSv1.3'] as const
export type TlsVersion = (typeof tlsVersions)[number]

/** What a listener needs. */
export interface TlsOptions {
  readonly certificates: Certificates
  readonly clientAuth: ClientAuth
}

/** Of TLS 1.3, and of 1.2 those that HTTP/2 allows: a key of its own for each connection, and no modes of old. */
const ciphers = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')

function contextOf({ cert, key, clientCa }: CertificateTexts, minVersion: TlsVersion): SecureContextOptions {
  return { cert, key, ...(clientCa === undefined ? {} : { ca: clientCa }), minVersion, ciphers }
}

/** Throws BadDataError for what is no certificate and no key, for a key of another one, and for no authority. */
function check(texts: CertificateTexts, minVersion: TlsVersion): X509Certificate {
  const leaf = reading('the certificate', () => new X509Certificate(texts.cert))
  const key = reading('the private key', () => createPrivateKey(texts.key))
  if (!leaf.checkPrivateKey(key)) throw new BadDataError('the private key is of another certificate')
  if (texts.clientCa !== undefined) {
    const { clientCa } = texts
    reading('the authorities of clients', () => new X509Certificate(clientCa))
  }
  reading('the certificates', () => createSecureContext(contextOf(texts, minVersion)))
  return leaf
}

function reading<T>(what: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw new BadDataError(`${what} can't be read: ${messageOf(error)}`, { cause: error })
  }
}

export class Certificates {
  readonly #minVersion: TlsVersion
  readonly #followers = new Set<(context: SecureContextOptions) => void>()
  #texts: CertificateTexts
  #leaf: X509Certificate

  /** Throws BadDataError for certificates that are of no use. */
  constructor(texts: CertificateTexts, minVersion: TlsVersion = 'TLSv1.2') {
    this.#minVersion = minVersion
    this.#leaf = check(texts, minVersion)
    this.#texts = texts
  }

  get texts(): CertificateTexts {
    return this.#texts
  }

  get context(): SecureContextOptions {
    return contextOf(this.#texts, this.#minVersion)
  }

  /** When the server's certificate ends. */
  get notAfterMs(): number {
    return Date.parse(this.#leaf.validTo)
  }

  /**
   * New connections get these from now on; sessions of the old ones are not resumed. Throws BadDataError for those that
   * are of no use, and keeps the old ones.
   */
  replace(texts: CertificateTexts): void {
    this.#leaf = check(texts, this.#minVersion)
    this.#texts = texts
    for (const follower of this.#followers) follower(this.context)
  }

  /** Calls with each replacement; returns what ends that. */
  follow(follower: (context: SecureContextOptions) => void): () => void {
    this.#followers.add(follower)
    return () => {
      this.#followers.delete(follower)
    }
  }
}

interface ServerOptions extends SecureContextOptions {
  requestCert: boolean
  rejectUnauthorized: boolean
}

/** As Node's servers take them. Whether a client that may show a certificate was checked: see client-certificate.ts. */
export function secureOptions({ certificates, clientAuth }: TlsOptions): ServerOptions {
  return {
    ...certificates.context,
    requestCert: clientAuth !== 'none',
    rejectUnauthorized: clientAuth === 'required',
  }
}

/** Lets a server take the replacements until it closes. */
export function followCertificates(server: Server, { certificates }: TlsOptions): void {
  const end = certificates.follow(context => {
    server.setSecureContext(context)
  })
  server.once('close', end)
}
