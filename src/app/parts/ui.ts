/** The web interface: the browser program, and the questions that only it asks. */
import type { Alertmanagers } from '#alert/alertmanager/alertmanagers.ts'
import {
  tercetRoutes,
  type ListedBlock,
  type ListedDamage,
  type ListedMemory,
  type ListedRequests,
  type ListedTrouble,
  type Setting,
} from '#api/tercet/routes.ts'
import { uiRoutes } from '#api/tercet/ui.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { dollarsAMonth, sumsOf } from '#bucket/request-prices.ts'
import { BadDataError, NotFoundError } from '#core/errors.ts'
import { signals as signalNames, type SignalName } from '#core/signal-name.ts'
import type { Caller } from '#net/access.ts'
import { filesOf } from '#scrape/discovery/simple.ts'
import type { Signal } from '#store/signal.ts'
import { queryRoutes, type Context } from '../context.ts'
import { optionOf, type OptionName } from '../options.ts'
import { makePart, type Part } from '../part.ts'
import type { Process } from '../role.ts'
import { uiFiles } from '../ui-files.ts'
import { version } from '../version.ts'
import { commitIntervalMsOf } from './signal-options.ts'

/** What `/` says to a program that is no browser. */
const welcome = `Tercet ${version}

  GET  /api/v1/query?query=up            PromQL, as Prometheus answers it (also under /prometheus)
  POST /api/v1/write                     remote write 1.0 and 2.0
  POST /v1/metrics, /v1/logs, /v1/traces OpenTelemetry
  GET  /loki/api/v1/query_range?query=   LogQL, as Loki answers it (also under /select/logsql)
  POST /loki/api/v1/push                 Loki's push
  GET  /select/logsql/query?query=       LogsQL, as VictoriaLogs answers it
  POST /insert/jsonline                  VictoriaLogs' JSON lines
  GET  /api/search?q={}                  TraceQL, as Tempo answers it
  GET  /api/traces/<id>                  a trace by its id
  GET  /metrics                          own metrics
  POST /-/flush                          cut blocks now, answer when the bucket has them
`

interface Dashboard {
  name: string
  text: string
}

/** In a path of `dashboard_files`: the name of a tenant. */
const tenantPlace = '<tenant>'

/** Dashboards of `dashboard_files`, read each time that they are asked for, so that a changed file shows. */
function readDashboards({ config, world, tenancy }: Context): (caller: Caller) => Promise<Dashboard[]> {
  const { files } = world
  const shownTo = tenancy.shownTo('metrics')
  const readOne = async (path: string): Promise<Dashboard> => ({
    name: path.slice(path.lastIndexOf('/') + 1).replace(/\.json$/, ''),
    text: Buffer.from(await files.read(path)).toString('utf8'),
  })
  const readAll = async (pattern: string): Promise<Dashboard[]> =>
    Promise.all((await filesOf({ files, directory: process.cwd() }, pattern)).map(readOne))
  /** Not every tenant has some. */
  const readIfThere = async (pattern: string): Promise<Dashboard[]> => {
    try {
      return await readAll(pattern)
    } catch (error) {
      if (error instanceof NotFoundError) return []
      throw error
    }
  }
  return async caller => {
    const tenants = shownTo(caller) ?? []
    const found = config.list('dashboard_files').flatMap(pattern => {
      if (!pattern.includes(tenantPlace)) return [readAll(pattern)]
      return tenants.map(tenant => readIfThere(pattern.replaceAll(tenantPlace, () => tenant)))
    })
    return (await Promise.all(found)).flat()
  }
}

/** Names of tenants are directories: their characters mean something in the pattern of a file's name. */
function checkDashboardFiles({ config, tenancy }: Context): void {
  for (const pattern of config.list('dashboard_files')) {
    if (!pattern.includes(tenantPlace)) continue
    if (!tenancy.isOn) throw new BadDataError(`dashboard_files: ${tenantPlace} in ${pattern} needs tenancy=on`)
    const directories = pattern.split('/').slice(0, -1)
    const isAlone = directories.every(part => part === tenantPlace || !part.includes(tenantPlace))
    if (!isAlone || !directories.includes(tenantPlace) || pattern.endsWith(tenantPlace))
      throw new BadDataError(`dashboard_files: ${tenantPlace} in ${pattern} stands for a directory: /${tenantPlace}/`)
  }
}

/** A pattern that no file matches, or a file that is not there, is worth a line at the start. */
async function warnOfMissing({ config, world }: Context): Promise<void> {
  const { files, log } = world
  for (const pattern of config.list('dashboard_files')) {
    if (pattern.includes(tenantPlace)) continue
    const paths = await filesOf({ files, directory: process.cwd() }, pattern)
    if (paths.length === 0) log.warn('no file matches', { key: 'dashboard_files', pattern })
    for (const path of paths) {
      try {
        await files.size(path)
      } catch (error) {
        if (!(error instanceof NotFoundError)) throw error
        log.warn('a file of dashboards does not exist', { key: 'dashboard_files', file: path })
      }
    }
  }
}

/** Requests since the start, of signals in object stores. */
function requestsOf(
  { config, world, startedMs }: Context,
  buckets: Readonly<Record<SignalName, Bucket>>,
): ListedRequests {
  const seconds = (world.clock.nowMs() - startedMs) / 1000
  const counted = signalNames.flatMap(signal => {
    const { requests } = buckets[signal]
    return requests === undefined ? [] : [{ signal, ...sumsOf(requests) }]
  })
  return {
    seconds,
    signals: counted,
    dollarsAMonth: counted.reduce((sum, one) => sum + dollarsAMonth(one, seconds), 0),
    durability: config.text('durability'),
    durabilityIntervalMs: commitIntervalMsOf(config, buckets.metrics),
  }
}

export async function makeUi(
  context: Context,
  signals: readonly Signal[],
  buckets: Readonly<Record<SignalName, Bucket>>,
  damaged: () => ListedDamage[],
  alertmanagers: Alertmanagers | undefined,
  own: Pick<Process, 'warnings'>,
): Promise<Part> {
  const { config, world, running } = context
  checkDashboardFiles(context)
  const blocks = (): ListedBlock[] =>
    signals.flatMap(signal => signal.blockList().map(block => ({ signal: signal.name, ...block })))
  const trouble = (): ListedTrouble[] =>
    signals.map(signal => {
      const { problem, warning } = signal.status()
      return { signal: signal.name, problem, warning }
    })
  const warnings = (): string[] => {
    const told = new Set(trouble().map(({ warning }) => warning))
    return own.warnings().flatMap(warning => warning.split('\n').filter(line => !told.has(line)))
  }
  const settings = (): Setting[] =>
    // `shown` has the names of the table of options, and no others.
    (Object.entries(config.shown()) as [OptionName, string][]).map(([name, value]) => ({
      name,
      value,
      source: config.placeOf(name),
      help: optionOf(name).help,
    }))
  const memory = (): ListedMemory[] =>
    context.memory.all().map(({ name, heldBytes, bytesMax, refused }) => ({
      account: name,
      bytes: heldBytes,
      bytesMax,
      refused,
    }))
  const questions = tercetRoutes({
    memory,
    requests: () => requestsOf(context, buckets),
    blocks,
    damaged,
    trouble,
    warnings,
    settings,
    running,
    alertmanagers,
    tenantOf: context.tenancy.of('metrics'),
    dashboards: readDashboards(context),
  })
  return makePart({
    name: 'web interface',
    answersAtOnce: true,
    routes: [...queryRoutes(context, questions), ...uiRoutes(await uiFiles(world.files), welcome, world.random)],
    start: () => warnOfMissing(context),
  })
}
