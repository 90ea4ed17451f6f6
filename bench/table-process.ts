/** Rows of a process that has nothing to do, and rows that other programs print (bench/row.ts). */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cgroupProblem } from './cgroup.ts'
import { contendersOf, inTurn, oneByOne } from './contest.ts'
import { Peer, type PeerName } from './peers.ts'
import { parseRow, type Section } from './row.ts'
import { programsOf, type TableRun } from './table-run.ts'

const mebibyte = 1024 * 1024
const everybody: readonly PeerName[] = ['victoria-metrics', 'prometheus', 'victoria-logs', 'loki', 'tempo']
/** As it comes: it watches itself, and listens for every protocol that has a port of its own. */
const allRoles = ['--listen.otlp_http=127.0.0.1:0', '--listen.otlp_grpc=127.0.0.1:0', '--log.level=warn']

/** Every program from an empty directory: how long until it is ready, and what it holds when nothing happens. */
export async function processRows(run: TableRun): Promise<void> {
  const idleMs = run.isQuick ? 10_000 : 30_000
  // Once before anything counts: from then on programs are in the page cache, and compiled code is kept.
  await oneByOne(contendersOf(programsOf(run, everybody), run.directory, 'first-start'), 0, false, async () => {})
  for (let round = 0; round < run.rounds; round++) {
    const contenders = contendersOf(programsOf(run, everybody), run.directory, `idle-${round}`)
    for (const { column, program, directory } of inTurn(contenders, round)) {
      const peer = await Peer.start(program, { directory, tercetFlags: allRoles })
      await new Promise(resolve => setTimeout(resolve, idleMs))
      const section = 'process'
      run.figures.add({ section, work: 'start, empty', unit: 's' }, column, peer.readyMs / 1000)
      run.figures.add({ section, work: 'idle RSS, all roles', unit: 'MiB' }, column, peer.cost().rssBytes / mebibyte)
      await peer.stop()
    }
  }
}

interface RowProgram {
  file: string
  section: Section
  args: readonly string[]
  /** Why it can't run here; undefined: it can. */
  problem?: () => string | undefined
}

const agentProgram = (isQuick: boolean): RowProgram => ({
  file: 'bench/agent.ts',
  section: 'process',
  args: [`--minutes=${isQuick ? 1 : 4}`],
  problem: cgroupProblem,
})
const bucketPrograms = (isQuick: boolean): readonly RowProgram[] => [
  { file: 'bench/prices.ts', section: 's3', args: isQuick ? ['--minutes=20', '--skip=5'] : [] },
  { file: 'bench/cold-gets.ts', section: 's3', args: isQuick ? ['--hours=12'] : [] },
]

/** What a program prints, also when it ends with an error: a bar that is not met is one. */
function outputOf(file: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    child.stdout.on('data', (part: Buffer) => (text += part.toString()))
    child.once('error', reject)
    child.once('close', () => resolve(text))
  })
}

/** Rows are lines of JSON among whatever else a program prints. */
async function addRowsOf(run: TableRun, { file, section, args, problem }: RowProgram): Promise<void> {
  const reason = existsSync(file) ? problem?.() : 'it is not there'
  if (reason !== undefined) {
    console.error(`  NOT MEASURED: ${file}: ${reason}`)
    return
  }
  const lines = (await outputOf(file, ['--json', ...args])).split('\n')
  const rows = lines.flatMap(line => parseRow(line, section) ?? [])
  if (rows.length === 0) console.error(`  NOT MEASURED: ${file} printed no row`)
  for (const [i, row] of rows.entries()) run.figures.addRow(row, rows[i - 1]?.work)
}

export const agentRows = (run: TableRun): Promise<void> => addRowsOf(run, agentProgram(run.isQuick))

export async function bucketRows(run: TableRun): Promise<void> {
  for (const program of bucketPrograms(run.isQuick)) await addRowsOf(run, program)
}
