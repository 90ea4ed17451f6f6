/** Why an address can't be listened at, in one line that says what to do. */
import { BadDataError, messageOf } from '#core/errors.ts'

const noPort = 'there is no such port; choose one from 1 to 65535, or 0 for any that is free'

/** By what is in the code or the message of the error: gRPC gives no codes. */
const reasons: readonly (readonly [sign: RegExp, reason: string])[] = [
  [/EADDRINUSE/, 'another process listens there; stop it, or choose another port'],
  [/EACCES/, 'the system does not allow it; a port below 1024 needs a privilege, choose a higher one'],
  [/EADDRNOTAVAIL/, 'this machine has no such address; 0.0.0.0 stands for all that it has'],
  [/EAI_AGAIN|ENOTFOUND|Name resolution failed/, 'the name of the host is not known; write its address'],
]

/** The BadDataError for what listening at `address` (`host:port`) threw. */
export function listenError(address: string, error: unknown): BadDataError {
  const message = messageOf(error)
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const reason = reasons.find(([sign]) => sign.test(code) || sign.test(message))?.[1] ?? message
  return new BadDataError(`can't listen at ${address}: ${reason}`, { cause: error })
}

/** Throws BadDataError for a port that does not exist: UDP would take it modulo 65536. */
export function checkPort(address: string): void {
  const port = address.slice(address.lastIndexOf(':') + 1)
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) throw new BadDataError(`can't listen at ${address}: ${noPort}`)
}
