/** `tercet import` of a running VictoriaMetrics: its samples, as the JSON lines that it exports and Tercet imports. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { BadDataError } from '#core/errors.ts'
import { request, unreachable, type Server } from './client.ts'
import type { Output } from './output.ts'
import { Progress } from './progress.ts'

export interface VictoriaImport {
  /** Address of VictoriaMetrics. */
  source: string
  /** The running Tercet. */
  server: Server
  /** A selector of series. */
  match: string
  startMs: number
  endMs: number
  /** Holds how far an import came. */
  statePath: string
  isJson: boolean
}

interface State {
  source: string
  match: string
  doneUntilMs: number
  samples: number
}

const windowMs = 86_400_000
const postBytes = 4 * 1024 * 1024

/**
 * A day at a time, the oldest first. An import of the same source and selector goes on where it was. Throws
 * BadDataError.
 */
export async function importVictoria(task: VictoriaImport, { out }: Output): Promise<void> {
  const { endMs, isJson, source, startMs, statePath, server } = task
  if (startMs >= endMs) throw new BadDataError('--start is not before --end')
  const state = readState(task)
  const progress = new Progress(`${source} → ${server.url}`, process.stderr.isTTY && !isJson)
  const fromMs = Math.max(startMs, state.doneUntilMs)
  for (let atMs = fromMs; atMs < endMs; atMs = state.doneUntilMs) {
    progress.show(atMs - startMs, endMs - startMs, `${state.samples} samples`)
    const untilMs = Math.min(atMs + windowMs, endMs)
    // Both ends of a range are inside there.
    state.samples += await copyRange(task, atMs, untilMs === endMs ? untilMs : untilMs - 1)
    state.doneUntilMs = untilMs
    writeFileSync(statePath, JSON.stringify(state))
  }
  progress.show(1, 1, `${state.samples} samples`)
  if (isJson) out(JSON.stringify({ samples: state.samples }))
  else
    out(
      `${state.samples} samples from ${source}${fromMs > startMs ? ', the first part of them in an earlier run' : ''}`,
    )
}

/** The state of an earlier import of the same, or a new one. */
function readState({ match, source, startMs, statePath }: VictoriaImport): State {
  if (existsSync(statePath)) {
    const before = JSON.parse(readFileSync(statePath, 'utf8')) as State
    if (before.source === source && before.match === match) return before
  }
  return { source, match, doneUntilMs: startMs, samples: 0 }
}

/** Copies the samples of a range, both ends included; how many. */
async function copyRange(task: VictoriaImport, fromMs: number, toMs: number): Promise<number> {
  const poster = new LinePoster(task.server)
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of await exported(task, fromMs, toMs)) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) await poster.add(line)
  }
  await poster.add(rest)
  await poster.send()
  return poster.samples
}

async function exported(
  { match, source }: VictoriaImport,
  fromMs: number,
  toMs: number,
): Promise<ReadableStream<Uint8Array>> {
  const parameters = new URLSearchParams({
    'match[]': match,
    start: String(fromMs / 1000),
    end: String(toMs / 1000),
    max_rows_per_line: '10000',
    reduce_mem_usage: '1',
  })
  let reply: Response
  try {
    reply = await fetch(`${source}/api/v1/export?${parameters.toString()}`)
  } catch (error) {
    throw new BadDataError(`${unreachable(source, error)}; begun again, the import goes on here`)
  }
  if (!reply.ok || reply.body === null)
    throw new BadDataError(`${source}/api/v1/export answered ${reply.status}: ${(await reply.text()).slice(0, 300)}`)
  return reply.body
}

/** Collects lines, and posts them in bodies of `postBytes`. */
class LinePoster {
  samples = 0
  readonly #server: Server
  #lines: string[] = []
  #length = 0

  constructor(server: Server) {
    this.#server = server
  }

  async add(line: string): Promise<void> {
    if (line === '') return
    this.samples += (JSON.parse(line) as { values: unknown[] }).values.length
    this.#lines.push(line)
    this.#length += line.length
    if (this.#length >= postBytes) await this.send()
  }

  async send(): Promise<void> {
    if (this.#lines.length === 0) return
    const body = this.#lines.join('\n')
    const reply = await request(this.#server, '/api/v1/import', { method: 'POST', body })
    if (!reply.ok)
      throw new BadDataError(
        `${this.#server.url} refused samples: ${(await reply.text()).trim().slice(0, 300)}. Old ones are taken with ` +
          '--metrics.out_of_order_window=inf, and kept with a long --metrics.retention',
      )
    this.#lines = []
    this.#length = 0
  }
}
