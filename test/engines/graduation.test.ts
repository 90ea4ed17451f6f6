/**
 * A graduation and the way back, with the real engines and senders that go on: every answer of the history equal at
 * each of them, and everything that was acknowledged there once. Skipped, and said so, where the engines are not here.
 * req-038 req-040 req-142 req-147 req-176.
 */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { after, test } from 'node:test'
import { temporaryDirectory } from '../run-tercet.ts'
import { rehearseGraduation } from './graduation.ts'
import { needsEngines } from './programs.ts'

const directory = temporaryDirectory()
after(() => {
  rmSync(directory, { recursive: true, force: true })
})

test(
  'to Cortex, Loki and Tempo on the same buckets, a day with them, and back',
  needsEngines({ programs: ['loki', 'tempo', 'cortex'], s3: true }),
  async t => {
    const print = (line: string): void => {
      t.diagnostic(line)
    }
    const { acknowledged, answers, findings } = await rehearseGraduation({ directory, loadSeconds: 10, print })
    assert.deepEqual(findings, [])
    assert.ok(answers > 40, `${answers} answers were compared`)
    for (const [name, count] of Object.entries(acknowledged)) assert.ok(count > 100, `${count} ${name}`)
  },
)
