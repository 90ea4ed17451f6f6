/**
 * Recorded answers of the real servers, asked of Tercet again, from memory and from blocks. What is not equal is
 * listed with its reason: a case that gets worse fails, and one that gets better leaves the list.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { dialects } from './dialects.ts'
import { ownAnswers } from './own.ts'
import { readRecording, readUnequal } from './recording.ts'
import { scoreTable } from './scores.ts'
import { scoreOf, spoiled } from './scoring.ts'

test('README shows the scores (node test/differential/scores.ts)', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  for (const row of scoreTable()) assert.ok(readme.includes(row), row)
})

suite('answers of the real servers', { concurrency: 1 }, () => {
  for (const dialect of dialects)
    test(`${dialect.name}: as ${dialect.server} answers`, { timeout: 300_000 }, async () => {
      const recording = readRecording(dialect.name)
      assert.ok(recording !== undefined, `nothing is recorded of ${dialect.server}`)
      const { baseMs, answers } = recording
      const questions = dialect.questions(baseMs).filter(({ id }) => answers.has(id))
      assert.equal(new Set(questions.map(({ id }) => id)).size, answers.size, 'every recorded answer has a question')
      const real = questions.map(({ id }) => answers.get(id)!)
      const own = await ownAnswers(dialect, baseMs, questions)
      const unequal = readUnequal(dialect.name)
      const { differences } = scoreOf(dialect, questions, real, own)
      const worse = differences.filter(({ id }) => unequal[id] === undefined)
      assert.deepEqual(worse.slice(0, 5), [], `${worse.length} answers are not equal any more`)
      const different = new Set(differences.map(({ id }) => id))
      const better = Object.keys(unequal).filter(id => !different.has(id))
      assert.deepEqual(better, [], 'these are equal now: take them off unequal.json')
      const { equal } = scoreOf(dialect, questions, real, {
        memory: spoiled(own.memory),
        blocks: spoiled(own.blocks),
      })
      assert.equal(equal, 0, 'spoiled answers are not equal')
    })
})
