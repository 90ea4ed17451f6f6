/** The certificates that the configuration names, read again when their files change. */
import { BadDataError, messageOf } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import {
  Certificates,
  clientAuths,
  tlsVersions,
  type CertificateTexts,
  type ClientAuth,
  type TlsOptions,
} from '#net/tls-options.ts'
import type { Config } from './config.ts'
import type { TlsListener } from './tls-listeners.ts'

type Paths = Readonly<Record<'cert' | 'key' | 'clientCa', string>>

/** Whoever replaces several files by a link does it in no time; whoever writes one after the other is soon done. */
const readingsMax = 5

async function readOnce(files: Files, { cert, key, clientCa }: Paths): Promise<CertificateTexts> {
  const text = async (path: string): Promise<string> =>
    path === ''
      ? ''
      : Buffer.from(await files.read(path))
          .toString('utf8')
          .trim()
  return { cert: await text(cert), key: await text(key), clientCa: (await text(clientCa)) || undefined }
}

function isSame(a: CertificateTexts, b: CertificateTexts): boolean {
  return a.cert === b.cert && a.key === b.key && a.clientCa === b.clientCa
}

/**
 * Two readings that are the same are of one generation: no file was replaced between the first of them and the last.
 * Throws BadDataError where they keep changing, and what reading throws.
 */
async function readFiles(files: Files, paths: Paths): Promise<CertificateTexts> {
  let before = await readOnce(files, paths)
  for (let i = 1; i < readingsMax; i++) {
    const texts = await readOnce(files, paths)
    if (isSame(before, texts)) return texts
    before = texts
  }
  throw new BadDataError('the files of certificates change while they are read')
}

function clientAuthOf(config: Config, listener: TlsListener): ClientAuth {
  const entry = config.list('tls.client_auth_listeners').findLast(one => one.startsWith(`${listener}=`))
  const wanted = entry?.slice(listener.length + 1) ?? config.text('tls.client_auth')
  const isAuto = config.text('tls.client_ca_file') === '' ? 'none' : 'required'
  return clientAuths.find(one => one === wanted) ?? isAuto
}

export class CertificateFiles {
  readonly #config: Config
  readonly #files: Files
  readonly #paths: Paths
  readonly certificates: Certificates
  /** Why the files, as they are now, are not used. */
  problem: string | undefined
  /** Never rejects. */
  #looking: Promise<boolean> = Promise.resolve(false)

  private constructor(config: Config, files: Files, paths: Paths, certificates: Certificates) {
    this.#config = config
    this.#files = files
    this.#paths = paths
    this.certificates = certificates
  }

  /** Undefined where no certificate is named. Throws BadDataError for what is wrong with them. */
  static async open(config: Config, files: Files): Promise<CertificateFiles | undefined> {
    const cert = config.text('tls.cert_file'),
      key = config.text('tls.key_file'),
      clientCa = config.text('tls.client_ca_file')
    const asks = ['tls.client_auth_listeners', 'tls.client_auth'] as const
    const asking = asks.find(name => /\b(?:optional|required)\b/.test(config.text(name)))
    if (asking !== undefined && clientCa === '')
      throw new BadDataError(`${asking} needs tls.client_ca_file: the authorities that sign certificates of clients`)
    const texts = await readFiles(files, { cert, key, clientCa })
    if ((texts.cert === '') !== (texts.key === '') || (texts.cert === '' && clientCa !== ''))
      throw new BadDataError(
        'tls.cert_file and tls.key_file go together, and tls.client_ca_file needs them: one is missing or empty',
      )
    if (texts.cert === '') return undefined
    if (clientCa !== '' && texts.clientCa === undefined)
      throw new BadDataError(`tls.client_ca_file: ${clientCa} is empty`)
    const minVersion = tlsVersions.find(version => version === config.text('tls.min_version'))
    try {
      return new CertificateFiles(config, files, { cert, key, clientCa }, new Certificates(texts, minVersion))
    } catch (error) {
      throw new BadDataError(`tls.cert_file, tls.key_file, tls.client_ca_file: ${messageOf(error)}`, { cause: error })
    }
  }

  /** What a listener speaks by. */
  of(listener: TlsListener): TlsOptions {
    return { certificates: this.certificates, clientAuth: clientAuthOf(this.#config, listener) }
  }

  /** Reads the files; true: there were others, and they are used from now on. What is wrong with them is `problem`. */
  look(): Promise<boolean> {
    // Of two that read at a time, the one that began first might end last, with authorities that are gone.
    return (this.#looking = this.#looking.then(() => this.#look()))
  }

  async #look(): Promise<boolean> {
    try {
      const texts = await readFiles(this.#files, this.#paths)
      const isNew = !isSame(texts, this.certificates.texts)
      // Without authorities everybody would get in.
      if (this.#paths.clientCa !== '' && texts.clientCa === undefined)
        throw new BadDataError('the file of the authorities of clients is empty')
      if (isNew) this.certificates.replace(texts)
      this.problem = undefined
      return isNew
    } catch (error) {
      this.problem = messageOf(error)
      return false
    }
  }
}
