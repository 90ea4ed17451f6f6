/** Log lines as they are written. req-041 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { makeLog } from './logger.ts'

const clock = { nowMs: () => Date.UTC(2026, 0, 2, 3, 4, 5, 6) }

function linesOf(format: string, level: string): string[] {
  const lines: string[] = []
  const log = makeLog(format, level, clock, line => lines.push(line))
  log.debug('small')
  log.warn('a "quoted"\nmessage', { file: '/a b', count: 3, isLate: false, nobody: undefined })
  return lines
}

test('a line of JSON is one object, with its level, time, fields and message', () => {
  const [line = '', ...others] = linesOf('json', 'info')
  assert.deepEqual(others, [])
  assert.ok(line.endsWith('}\n') && !line.slice(0, -1).includes('\n'))
  assert.deepEqual(JSON.parse(line), {
    level: 'warn',
    time: '2026-01-02T03:04:05.006Z',
    file: '/a b',
    count: 3,
    isLate: false,
    msg: 'a "quoted"\nmessage',
  })
})

test('a line of logfmt quotes what has spaces, quotes or ends of lines', () => {
  assert.deepEqual(linesOf('logfmt', 'warn'), [
    'level=warn time=2026-01-02T03:04:05.006Z file="/a b" count=3 isLate=false msg="a \\"quoted\\"\\nmessage"\n',
  ])
})

test('what a terminal obeys is written out: names and paths come from outside', () => {
  for (const format of ['logfmt', 'json']) {
    const lines: string[] = []
    const log = makeLog(format, 'info', clock, line => lines.push(line))
    log.info('audit', { who: '\u001b[2Jroot\u009b1m', action: 'a\u2028level=info\u202ex', path: 'a\\u001b' })
    const [line = ''] = lines
    assert.doesNotMatch(line.slice(0, -1), /[\p{Cc}\u2028\u202e]/u, format)
    assert.ok(line.includes('"\\u001b[2Jroot\\u009b1m"') && line.includes('"a\\\\u001b"'), line)
  }
})

test('what is below the level is not written', () => {
  assert.equal(linesOf('json', 'debug').length, 2)
  assert.equal(linesOf('json', 'error').length, 0)
})

test('the level can be changed while the process runs', () => {
  const lines: string[] = []
  const log = makeLog('json', 'error', clock, line => lines.push(line))
  log.info('not written')
  log.level = 'info'
  log.info('written')
  assert.equal(lines.length, 1)
})
