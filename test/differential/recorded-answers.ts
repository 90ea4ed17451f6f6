/**
 * Recorded answers of the real servers, asked of Tercet again, from memory and from blocks. What is not equal is
 * listed with its reason: a case that gets worse fails, and one that gets better leaves the list.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dialectOf } from './dialects.ts'
import { ownAnswers } from './own.ts'
import { readRecording, readUnequal } from './recording.ts'
import { scoreOf, spoiled } from './scoring.ts'

/** The test of one language; each has a file of its own, so that they run beside one another. */
export function testRecordedAnswers(name: string): void {
  const dialect = dialectOf(name)
  test(`recorded answers: ${name}, as ${dialect.server} answers`, async () => {
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
}
