/**
 * npm run bench: what Tercet costs beside its peers, as a table in Markdown, from one run on this machine.
 *
 *   node bench/table.ts [--quick] [--only=metrics,logs,traces,process,agent,s3] [--rounds=2]
 *     [--json=FILE] [--against=FILE] [--peers=loki,tempo] [--details] [--profile=DIR] [--program=src/app/main.ts]
 *
 * Peers are taken from the PATH: `prometheus`, `victoria-metrics`, `victoria-logs`, `loki`, `tempo`; those that are not
 * there are named, and their columns stay empty. Everybody runs at once, and gets the same bytes in turns. `--quick`:
 * less of everything, about five minutes. `--json=` keeps every figure, of each query too (`--details` prints those),
 * and `--against=` compares the ratios with those of such a file. `--profile=`: CPU profiles of each Tercet.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { messageOf } from '#core/errors.ts'
import { Figures } from './figures.ts'
import { endAll, isInstalled, type PeerName, settingsOf, versionOf } from './peers.ts'
import { markdownOf } from './row.ts'
import { closeSenders } from './send-bodies.ts'
import { againstOf, type TableFile } from './table-file.ts'
import { logsRows } from './table-logs.ts'
import { metricsRows } from './table-metrics.ts'
import { agentRows, bucketRows, processRows } from './table-process.ts'
import type { TableRun } from './table-run.ts'
import { tracesRows } from './table-traces.ts'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string', default: '2' },
    json: { type: 'string' },
    against: { type: 'string' },
    peers: { type: 'string' },
    details: { type: 'boolean', default: false },
    profile: { type: 'string' },
    program: { type: 'string' },
  },
})

const parts = {
  metrics: metricsRows,
  logs: logsRows,
  traces: tracesRows,
  process: processRows,
  agent: agentRows,
  s3: bucketRows,
} as const
type Part = keyof typeof parts

const allPeers = ['victoria-metrics', 'prometheus', 'victoria-logs', 'loki', 'tempo'] as const
const wanted = allPeers.filter(name => values.peers?.split(',').includes(name) ?? true)
const absent = allPeers.filter(name => !wanted.includes(name) || !isInstalled(name))
for (const name of absent) console.error(`NOT MEASURED: ${name} is not on the PATH, or not wanted`)
const programs: readonly PeerName[] = ['tercet', ...wanted.filter(name => isInstalled(name))]

function chosenParts(): Part[] {
  const names = Object.keys(parts) as Part[]
  const only = values.only?.split(',') ?? names
  for (const name of only)
    if (!(name in parts)) throw new Error(`--only: there is no part ${name}; ${names.join(', ')}`)
  return names.filter(name => only.includes(name))
}

const machineOf = (): Record<string, string> => ({
  processors: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`,
  memory: `${(totalmem() / 1024 ** 3).toFixed(0)} GiB`,
  node: process.version,
  load: loadavg()
    .map(value => value.toFixed(2))
    .join(' '),
  commit: spawnSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).stdout.trim(),
})

const run: TableRun = {
  figures: new Figures(),
  programs,
  rounds: Number(values.rounds),
  isQuick: values.quick,
  directory: mkdtempSync(join(tmpdir(), 'tercet-table-')),
  effort: values.quick
    ? { repeatsMin: 2, repeatsMax: 10, wallMs: 100 }
    : { repeatsMin: 2, repeatsMax: 200, wallMs: 500 },
  answers: {},
  disagreements: [],
}

const fileOf = (startedAt: string, machine: TableFile['machine']): TableFile => ({
  startedAt,
  machine,
  settings: programs.map(name => `${versionOf(name)}\n${settingsOf(name)}`),
  answers: run.answers,
  disagreements: run.disagreements,
  rows: run.figures.rows(),
})

function print(file: TableFile): void {
  const { machine, rows, disagreements, settings } = file
  console.log(markdownOf(rows, absent, values.details))
  console.log(`${run.rounds} rounds; ± is half the distance between them; A/A is a second Tercet ÷ the first.`)
  console.log(
    `Begun ${file.startedAt}; ${Object.entries(machine)
      .map(each => each.join(': '))
      .join('; ')}.`,
  )
  console.log(`\nAnswers that differ:\n\n${disagreements.map(text => `- ${text}`).join('\n') || '- none'}`)
  console.log(`\nSettings:\n\n${settings.map(text => `    ${text.replaceAll('\n', '\n    ')}`).join('\n\n')}`)
}

/** A part that fails is named, and the others go on. */
async function attempt(name: Part): Promise<void> {
  try {
    await parts[name](run)
  } catch (error) {
    process.exitCode = 1
    console.error(`NOT MEASURED: the rest of ${name}: ${messageOf(error)}`)
    await endAll()
  }
}

async function measure(): Promise<TableFile> {
  const startedAt = new Date().toISOString()
  const machine = machineOf()
  for (const name of chosenParts()) {
    console.error(`${name}, ${new Date().toISOString()}`)
    await attempt(name)
    if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(fileOf(startedAt, machine), null, 1))
  }
  return fileOf(startedAt, machine)
}

try {
  const file = await measure()
  print(file)
  if (values.against !== undefined)
    console.log(`\n${againstOf(file.rows, JSON.parse(readFileSync(values.against, 'utf8')) as TableFile)}`)
} finally {
  closeSenders()
  rmSync(run.directory, { recursive: true, force: true })
}
