/** What is printed of an error: one line with the file or address and the advice, or the stack of a bug. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { BadDataError, LimitError, NotFoundError } from '#core/errors.ts'
import { failureOf } from './failure.ts'

function systemError(code: string, fields: object, message = code): Error {
  return Object.assign(new Error(message), { code, ...fields })
}
const missing = systemError('ENOENT', { path: '/x.pem' })
const inUse = systemError('EADDRINUSE', { address: '127.0.0.1', port: 80 }, 'listen EADDRINUSE 127.0.0.1:80')
const placeOf = (value: string): string | undefined => (value === '/x.pem' ? 'flag --tls.cert_file' : undefined)

const cases: readonly (readonly [name: string, error: unknown, exitCode: 1 | 2, text: string])[] = [
  ['bad data', new BadDataError('a: b'), 2, 'a: b'],
  ['a limit', new LimitError('too much', 413), 1, 'too much'],
  [
    'a file of the configuration',
    missing,
    2,
    'flag --tls.cert_file: /x.pem: no such file or directory; create it, or name another',
  ],
  [
    'a file that was asked for',
    new NotFoundError('no such file: /x.pem', { cause: missing }),
    2,
    'flag --tls.cert_file: /x.pem: no such file or directory; create it, or name another',
  ],
  [
    'no permission',
    systemError('EACCES', { path: '/y' }),
    1,
    '/y: permission denied; allow it to the user of this process, or name another',
  ],
  [
    'a port in use',
    inUse,
    1,
    '127.0.0.1:80: the address is in use; end the process that listens there, or name another port',
  ],
  [
    'a wrapped error that says its cause',
    new Error(`could not start syslog: ${inUse.message}`, { cause: inUse }),
    1,
    'could not start syslog: 127.0.0.1:80: the address is in use; end the process that listens there, or name ' +
      'another port',
  ],
  [
    'a wrapped error that does not',
    new Error('could not start', { cause: new BadDataError('a: b') }),
    1,
    'could not start: a: b',
  ],
  ['an error of the system without advice', systemError('EMFILE', {}, 'too many open files'), 1, 'too many open files'],
]
for (const [name, error, exitCode, text] of cases)
  test(`${name}: one line`, () => {
    assert.deepEqual(failureOf(error, placeOf), { text, exitCode, isBug: false })
  })

test("an error of Node's own, as it is thrown", () => {
  assert.throws(
    () => readFileSync('/nosuch/file'),
    error => failureOf(error).text === '/nosuch/file: no such file or directory; create it, or name another',
  )
})

for (const [name, error] of [
  ['an error that nobody expected', new TypeError('x is not a function')],
  ['a wrapped one', new Error('could not start', { cause: new RangeError('y') })],
  ['wrong arguments of a function', systemError('ERR_INVALID_ARG_TYPE', {})],
] as const)
  test(`${name} keeps its stack`, () => {
    const { exitCode, isBug, text } = failureOf(error)
    assert.deepEqual([exitCode, isBug, text], [1, true, error.stack])
  })
