/** What went wrong: one line where an operator can do something about it, the stack where it is a bug. */
import { BadDataError, errorKinds, NotFoundError } from '#core/errors.ts'

export interface Failure {
  /** Without the `tercet: ` before it. */
  text: string
  /** 2: the command line or the configuration is wrong; 1: anything else. */
  exitCode: 1 | 2
  isBug: boolean
}

/** Finds the key of the configuration that names a path or an address: `flag --data_dir: data_dir`. */
export type PlaceOf = (value: string) => string | undefined

interface SystemError extends Error {
  code: string
  path?: string
  hostname?: string
  address?: string
  port?: number
}

/** Of the operating system, the network or OpenSSL, not of the arguments that a function of Node was called with. */
function isSystemError(error: unknown): error is SystemError {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    /^(E[A-Z0-9]+|ERR_(SOCKET_BAD_PORT|(OSSL|TLS|SSL)_\w+))$/.test(error.code)
  )
}

/** By code: the reason in words, and what to do. */
const explanations: ReadonlyMap<string, readonly [reason: string, advice: string]> = new Map([
  ['ENOENT', ['no such file or directory', 'create it, or name another']],
  ['EACCES', ['permission denied', 'allow it to the user of this process, or name another']],
  ['EPERM', ['not permitted', 'allow it to the user of this process, or name another']],
  ['EROFS', ['the file system is read-only', 'name another place']],
  ['ENOSPC', ['no space is left on the disk', 'free some, or name another place']],
  ['ENOTDIR', ['a part of the path is no directory', 'name another']],
  ['EEXIST', ['there is a file where a directory was expected', 'name another']],
  ['EISDIR', ['is a directory', 'name a file']],
  ['EADDRINUSE', ['the address is in use', 'end the process that listens there, or name another port']],
  ['EADDRNOTAVAIL', ['this machine does not have the address', 'name another, or 0.0.0.0 for all']],
  ['ENOTFOUND', ['the name is not known', 'name another, or an address']],
])

function failureOfSystem(error: SystemError, placeOf: PlaceOf): Failure {
  const { address, code, hostname, path, port } = error
  const host = address ?? hostname
  const subject = path ?? (host === undefined || port === undefined ? host : `${host}:${port}`)
  const place = subject === undefined ? undefined : placeOf(subject)
  if (code.startsWith('ERR_OSSL'))
    return {
      text:
        "the certificate or key of tls.cert_file, tls.key_file or tls.client_ca_file can't be used: " +
        `${error.message}`,
      exitCode: 2,
      isBug: false,
    }
  const [reason, advice] = explanations.get(code) ?? []
  const text = reason === undefined || subject === undefined ? error.message : `${subject}: ${reason}; ${advice}`
  return {
    text: place === undefined ? text : `${place}: ${text}`,
    exitCode: place !== undefined && code === 'ENOENT' ? 2 : 1,
    isBug: false,
  }
}

/** A bug is every error that is neither of a known kind nor of the system, nor has such a cause. */
export function failureOf(error: unknown, placeOf: PlaceOf = () => undefined): Failure {
  if (!(error instanceof Error)) return { text: String(error), exitCode: 1, isBug: true }
  if (isSystemError(error)) return failureOfSystem(error, placeOf)
  if (error instanceof NotFoundError && isSystemError(error.cause)) return failureOfSystem(error.cause, placeOf)
  if ('kind' in error && errorKinds.some(kind => kind === error.kind))
    return { text: error.message, exitCode: error instanceof BadDataError ? 2 : 1, isBug: false }
  if ('kind' in error && error.kind === 'bucket') return { text: error.message, exitCode: 1, isBug: false }
  const bug: Failure = { text: error.stack ?? error.message, exitCode: 1, isBug: true }
  if (error.cause === undefined) return bug
  const { text, isBug } = failureOf(error.cause, placeOf)
  if (isBug) return bug
  // `could not start metrics: ...`, whether or not it says its cause.
  const causeText = error.cause instanceof Error ? error.cause.message : text
  const whole = error.message.includes(causeText) ? error.message.replace(causeText, text) : `${error.message}: ${text}`
  return { text: whole, exitCode: 1, isBug: false }
}
