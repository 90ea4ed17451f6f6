/** A Tercet in this process: started, asked, advanced in time, and closed without a trace. */
import type { LocalReply } from '#net/local-requests.ts'
import { loadConfig, type Config } from '#app/config.ts'
import { startTercet as startProcess, type Tercet as RunningTercet } from '#app/tercet.ts'
import { systemClock } from '#core/clock.ts'
import { BadDataError } from '#core/errors.ts'
import { StartError } from '#core/start-error.ts'
import type { SettlingClock } from '#core/settling-clock.ts'
import { linesRequest, samplesRequest, spansRequest } from './additions.ts'
import type { AddedLine, AddedSample, AddedSpan, Additions } from './additions.ts'
import { bodyText, Client, type Carrier } from './client.ts'
import { makeInstanceWorld, type InstanceWorld } from './instance-world.ts'
import { mapOf, numberOf } from './json.ts'
import { durationMs, type Duration } from './moment.ts'
import { checkOptions, type TercetOptions } from './options.ts'
import type { Telemetry, TercetReply, TercetRequest } from './telemetry.ts'

export interface TercetClock {
  /** Unix milliseconds. */
  nowMs(): number
  /**
   * Moves the time of an instance with `time: { startAt }`: what is due runs in its order, and has done its work when
   * this resolves: scrapes, rules, alerts, block cuts, merges, retention. Throws where time goes by itself.
   */
  advance(duration: Duration): Promise<void>
}

export interface Tercet extends Telemetry, AsyncDisposable {
  /** `http://127.0.0.1:port`; undefined where no address was opened. */
  readonly url: string | undefined
  /** `127.0.0.1:port` of OTLP over gRPC; undefined where no address was opened. */
  readonly grpcAddress: string | undefined
  readonly clock: TercetClock
  /** Resolves when the log has them, and queries see them. Throws BadDataError for what was refused. */
  addMetrics(samples: readonly AddedSample[]): Promise<void>
  addLogs(lines: readonly AddedLine[]): Promise<void>
  addSpans(spans: readonly AddedSpan[]): Promise<void>
  /** Cuts what is in memory into blocks; resolves when the bucket has them. */
  flush(): Promise<void>
  /** Reads again the files that the settings name. */
  reload(): Promise<void>
  /** Stops and gives back everything; a second call does nothing. */
  close(): Promise<void>
}

function addressOf(wanted: boolean | string): string {
  if (typeof wanted === 'string') return wanted
  return wanted ? '127.0.0.1:0' : 'off'
}

function configOf(options: TercetOptions, { dataDirectory, textPath }: InstanceWorld): Config {
  const { http = true, grpc = false, workers = 0, rules, scrape, alertmanager, settings = {} } = options
  const all: Record<string, string | number | boolean> = {
    'listen.http': addressOf(http),
    'listen.otlp_http': 'off',
    'listen.otlp_grpc': addressOf(grpc),
    data_dir: dataDirectory,
    workers,
    self_scrape: false,
    self_trace: false,
    disk_free_min: 0,
    operator_objects: 'off',
    ...(rules === undefined ? {} : { rule_files: textPath('rules.yml') }),
    ...(scrape === undefined ? {} : { scrape_config_file: textPath('prometheus.yml') }),
    ...(alertmanager === undefined ? {} : { alertmanager_config_file: textPath('alertmanager.yml') }),
    ...settings,
  }
  const flags = Object.entries(all).map(([key, value]) => `${key}=${value}`)
  return loadConfig({ environment: {}, flags })
}

/** Threads read and write the disk. Throws BadDataError. */
function refuseThreads(config: Config, { storage = 'memory' }: TercetOptions): void {
  if (storage === 'memory' && config.text('workers') !== '0')
    throw new BadDataError("storage: 'memory' needs workers: 0; threads see what is in a directory alone")
}

/** Time that is moved by hand stops for nobody else: threads and a log in the bucket wait for time to go by. */
function refuseUnmovable(config: Config, { world }: InstanceWorld): void {
  if (world.clock === systemClock) return
  if (config.text('workers') !== '0')
    throw new BadDataError("another time than the system's needs workers: 0; threads have their own")
  if (config.text('durability') === 'bucket')
    throw new BadDataError("another time than the system's needs durability=local")
}

/**
 * Starts a Tercet in this process. Throws BadDataError for options that are wrong, ConflictError for a directory that
 * another process has, StartError for what could not start; nothing is left running then.
 */
export async function startTercet(options: TercetOptions = {}): Promise<Tercet> {
  checkOptions(options)
  const { rules, scrape, alertmanager } = options
  const texts = { 'rules.yml': rules, 'prometheus.yml': scrape, 'alertmanager.yml': alertmanager }
  const given = Object.entries(texts).filter((entry): entry is [string, string] => entry[1] !== undefined)
  const around = await makeInstanceWorld(options, Object.fromEntries(given))
  const config = configOf(options, around)
  refuseThreads(config, options)
  refuseUnmovable(config, around)
  const running = await startProcess(config, around.world, {}).catch((error: unknown) => {
    throw startFailure(error, around)
  })
  return new Instance(running, around)
}

/** In the words of who called: the texts have no directory, and what the system refuses is the start's failure. */
function startFailure(error: unknown, { textPath, dataDirectory }: InstanceWorld): unknown {
  if (error instanceof BadDataError && error.message.includes(textPath('')))
    return new BadDataError(error.message.replaceAll(textPath(''), ''), { cause: error })
  const isOfSystem = error instanceof Error && 'syscall' in error
  return isOfSystem ? new StartError(`in ${dataDirectory}`, error) : error
}

/** Requests of the instance's own process. Throws BadDataError when it was closed. */
function carrierTo(running: RunningTercet, isClosed: () => boolean): Carrier {
  return async ({ method = 'GET', path, parameters = {}, headers = {}, body = '' }: TercetRequest) => {
    if (isClosed()) throw new BadDataError('this Tercet was closed')
    const reply = await running.answer({
      method,
      path,
      query: new URLSearchParams(parameters),
      headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
      body: typeof body === 'string' ? Buffer.from(body) : body,
    })
    return asReply(reply)
  }
}

function asReply({ status, headers, body }: LocalReply): TercetReply {
  return { status, body, header: name => headers[name.toLowerCase()] }
}

class Instance extends Client implements Tercet {
  readonly url: string | undefined
  readonly grpcAddress: string | undefined
  readonly clock: TercetClock
  readonly #running: RunningTercet
  #closed: Promise<void> | undefined

  constructor(running: RunningTercet, { world, virtualClock }: InstanceWorld) {
    super(
      carrierTo(running, () => this.#closed !== undefined),
      world.clock,
    )
    this.#running = running
    const addressNamed = (name: string) => running.addresses.find(one => one.name === name)?.address
    this.url = addressNamed('http') === undefined ? undefined : running.url
    this.grpcAddress = addressNamed('otlp_grpc')
    this.clock = {
      nowMs: () => world.clock.nowMs(),
      advance: async duration => {
        this.#refuseClosed()
        await advance(virtualClock, duration)
      },
    }
  }

  async addMetrics(samples: readonly AddedSample[]): Promise<void> {
    await this.#add(samplesRequest(samples, this.clock.nowMs()), 'samples')
  }

  async addLogs(lines: readonly AddedLine[]): Promise<void> {
    await this.#add(linesRequest(lines, this.clock.nowMs()), 'lines')
  }

  async addSpans(spans: readonly AddedSpan[]): Promise<void> {
    await this.#add(spansRequest(spans, this.clock.nowMs()), 'spans')
  }

  /** Throws BadDataError once what is right was added. */
  async #add({ request, count, problems }: Additions, what: string): Promise<void> {
    this.#refuseClosed()
    const reply = request === undefined ? undefined : await this.request(request)
    const [problem] = problems
    if (problem !== undefined)
      throw new BadDataError(`${problems.length} of ${count} ${what} were refused; the first: ${problem}`)
    if (reply === undefined) return
    if (reply.status >= 300) throw new BadDataError(bodyText(reply).trim())
    refusePartial(reply, count, what)
  }

  #refuseClosed(): void {
    if (this.#closed !== undefined) throw new BadDataError('this Tercet was closed')
  }

  async flush(): Promise<void> {
    this.#refuseClosed()
    await this.#running.flush()
  }

  async reload(): Promise<void> {
    this.#refuseClosed()
    await this.#running.reload()
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#running.close())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** OTLP says in its answer what it did not take. Throws BadDataError. */
function refusePartial(reply: TercetReply, count: number, what: string): void {
  const text = bodyText(reply)
  if (!text.startsWith('{')) return
  const { rejectedSpans, errorMessage } = mapOf(mapOf(JSON.parse(text))['partialSuccess'])
  if (numberOf(rejectedSpans) > 0)
    throw new BadDataError(
      `${numberOf(rejectedSpans)} of ${count} ${what} were refused; the first: ${String(errorMessage)}`,
    )
}

async function advance(clock: SettlingClock | undefined, duration: Duration): Promise<void> {
  if (clock === undefined)
    throw new BadDataError('time goes by itself here: start with time: { startAt } to advance it')
  await clock.advance(durationMs(duration))
}
