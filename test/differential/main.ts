/**
 * Compares Tercet with a real server that is here: node test/differential/main.ts DIALECT [--record] [--spoil]
 * [--recorded] [--random N [--seed S]] [--only REGEX] [--show N] [--width CHARACTERS]. The server is started from
 * ENGINES_DIRECTORY or PATH. `--record` keeps its answers as fixtures, `--recorded` asks nobody but Tercet and compares
 * with them, `--spoil` spoils every answer of Tercet: the score is 0 then. `--random` asks N questions that nobody
 * wrote, which follow from the seed.
 */
import { parseArgs } from 'node:util'
import { temporaryDirectory } from '../run-tercet.ts'
import { dialectOf } from './dialects.ts'
import { ownAnswers } from './own.ts'
import type { Answer, Question } from './question.ts'
import { realServer } from './real.ts'
import { readRecording, readUnequal, writeRecording } from './recording.ts'
import { askAll, scoreOf, spoiled } from './scoring.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    record: { type: 'boolean', default: false },
    recorded: { type: 'boolean', default: false },
    spoil: { type: 'boolean', default: false },
    random: { type: 'string' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    show: { type: 'string', default: '10' },
    width: { type: 'string', default: '600' },
  },
})
const dialect = dialectOf(positionals[0] ?? '')
const wanted = new RegExp(values.only)

interface Asked {
  baseMs: number
  version: string
  questions: Question[]
  answers: Answer[]
}

function questionsOf(baseMs: number): Question[] {
  const { random, seed } = values
  const made =
    random === undefined
      ? dialect.questions(baseMs)
      : Array.from({ length: Number(random) }, (_, i) => dialect.randomQuestion!(baseMs, Number(seed) * 1_000_000 + i))
  return made.filter(({ id }) => wanted.test(id))
}

async function askReal(): Promise<Asked> {
  const server = await realServer(dialect, temporaryDirectory())
  if (server === undefined) throw new Error(`${dialect.server} is not here: see CONTRIBUTING.md, real engines`)
  try {
    const baseMs = Math.floor(Date.now() / 60_000) * 60_000
    await dialect.load({ url: server.url, isReal: true }, baseMs)
    const questions = questionsOf(baseMs)
    const asked = await askAll(server.url, questions)
    const answers = dialect.recorded === undefined ? asked : asked.map(dialect.recorded)
    if (values.record) writeRecording(dialect.name, baseMs, server, questions, answers)
    return { baseMs, version: server.version, questions, answers }
  } finally {
    await server.stop()
  }
}

function askRecording(): Asked {
  const recording = readRecording(dialect.name)
  if (recording === undefined) throw new Error(`nothing is recorded of ${dialect.server}`)
  const { baseMs, version, answers } = recording
  const questions = dialect.questions(baseMs).filter(({ id }) => wanted.test(id) && answers.has(id))
  return { baseMs, version, questions, answers: questions.map(({ id }) => answers.get(id)!) }
}

const { baseMs, version, questions, answers } = values.recorded ? askRecording() : await askReal()
const own = await ownAnswers(dialect, baseMs, questions)
const compared = values.spoil ? { memory: spoiled(own.memory), blocks: spoiled(own.blocks) } : own
const { asked, equal, differences } = scoreOf(dialect, questions, answers, compared)
const known = readUnequal(dialect.name)
const width = Number(values.width)
for (const { id, from, real, own: got } of differences.slice(0, Number(values.show))) {
  console.log(`${id} (${from})${known[id] === undefined ? '' : `: ${known[id]}`}`)
  console.log(`  ${dialect.server}: ${JSON.stringify(real).slice(0, width)}`)
  console.log(`  Tercet: ${JSON.stringify(got).slice(0, width)}`)
}
const rest = differences.filter(({ id }) => known[id] === undefined).length
console.log(`${dialect.name}: ${equal} of ${asked} equal to ${dialect.server} ${version}, ${rest} without a reason`)
