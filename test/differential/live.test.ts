/** The real servers, where they are: they and Tercet are asked the same, of data that is sent to both now. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { suite, test } from 'node:test'
import { temporaryDirectory } from '../run-tercet.ts'
import { dialects } from './dialects.ts'
import { ownAnswers } from './own.ts'
import { realServer } from './real.ts'
import { readRecording, readUnequal } from './recording.ts'
import { askAll, scoreOf } from './scoring.ts'

/** Answers change from one minor version to the next. */
const minorOf = (version: string): string | undefined => /\d+\.\d+/.exec(version)?.[0]

suite('beside the real servers', { concurrency: 1 }, () => {
  for (const dialect of dialects)
    test(`${dialect.name}: as ${dialect.server} answers now`, async t => {
      const directory = temporaryDirectory()
      t.after(() => {
        rmSync(directory, { recursive: true, force: true })
      })
      const server = await realServer(dialect, directory)
      if (server === undefined) {
        t.skip(`NOT TESTED: ${dialect.server} is not there (CONTRIBUTING.md, real engines)`)
        return
      }
      t.after(() => server.stop())
      const recorded = readRecording(dialect.name)?.version ?? ''
      if (
        process.env[`${dialect.name.toUpperCase()}_URL`] === undefined &&
        minorOf(server.version) !== minorOf(recorded)
      ) {
        t.skip(`NOT TESTED: ${dialect.server} ${server.version} is there, Tercet answers as ${recorded}`)
        return
      }
      const baseMs = Math.floor(Date.now() / 60_000) * 60_000
      await dialect.load({ url: server.url, isReal: true }, baseMs)
      const questions = dialect.questions(baseMs)
      const real = await askAll(server.url, questions)
      const { differences } = scoreOf(dialect, questions, real, await ownAnswers(dialect, baseMs, questions))
      const known = readUnequal(dialect.name)
      const worse = differences.filter(({ id }) => known[id] === undefined)
      assert.deepEqual(worse.slice(0, 5), [], `${worse.length} of ${questions.length} answers are not equal`)
    })
})
