/** What all parts are made from: the configuration and the world, and what follows from them. */
import { availableParallelism } from 'node:os'
import { defaultTenants, Tenancy } from '#api/tenancy.ts'
import { RunningQueries } from '#api/tercet/running-queries.ts'
import { isAway, type Bucket } from '#bucket/bucket.ts'
import { probeBucket } from '#bucket/probe.ts'
import { makeHashSeed, type HashSeed } from '#codec/series-key.ts'
import { WriteRequestKernel } from '#codec/write-request.ts'
import { BadDataError, messageOf } from '#core/errors.ts'
import { memoryBudgetBytes, memoryShares, type Limits } from '#core/limits.ts'
import { MemoryBudget } from '#core/memory-budget.ts'
import { Overrides } from '#core/overrides.ts'
import { NewerFormatError } from '#core/own-formats.ts'
import type { SignalName } from '#core/signal-name.ts'
import { checkTenantName } from '#core/tenant-name.ts'
import type { Caller } from '#net/access.ts'
import type { GuardedRoute, HttpReply } from '#net/route-table.ts'
import { QueryGate } from '#query/gate.ts'
import { Fence } from '#store/fencing.ts'
import { TenantUsage } from '#store/tenant-usage.ts'
import { Audit } from './audit.ts'
import { explainStore } from './buckets.ts'
import type { Config } from './config.ts'
import type { Environment } from './environment.ts'
import { FormatRecords } from './format-records.ts'
import type { OptionName } from './options.ts'
import { limitsOf, openSecurity, type Security, type World } from './world.ts'

export type { Environment }

export interface Context {
  readonly config: Config
  readonly world: World
  readonly env: Environment
  readonly limits: Limits
  /** Limits and retention of single tenants. */
  readonly overrides: Overrides
  /** What came in of each tenant, and what was asked. */
  readonly usage: Readonly<Record<SignalName, TenantUsage>>
  /** Heads, caches, bodies, queries, answers and tails draw on it. */
  readonly memory: MemoryBudget
  readonly security: Security
  /** What wrote the data that is there, and what this process may write there. */
  readonly formats: FormatRecords
  /** Clients that were disconnected because they took nothing of their answers. */
  readonly slowReaders: { http: number; grpc: number }
  readonly tenancy: Tenancy
  readonly audit: Audit
  /** Of the hashes of series keys, chosen by each process. */
  readonly hashSeed: HashSeed
  readonly kernel: WriteRequestKernel
  /** Queries of all languages, and rules, take their turns by it. */
  readonly gate: QueryGate
  readonly running: RunningQueries
  /** Wall clock of the start. */
  readonly startedMs: number
  /** Serves what is in the bucket, and writes nothing. */
  readonly isReader: boolean
  /** Takes in, and answers no queries. */
  readonly isInsertOnly: boolean
  /** Where links in alerts lead; no slash at the end. */
  readonly externalUrl: string
}

/** How links begin, which everybody sees: without a user and a password. */
function linkBaseOf(url: string): string {
  return url.replace(/\/\/[^/?#\s]*@/, '//').replace(/\/+$/, '')
}

/** Reads credentials and certificates. Throws BadDataError for what the configuration has wrong. */
export async function makeContext(config: Config, machine: World, env: Environment): Promise<Context> {
  // What follows from the memory follows from the part of it that the process may use.
  const world = { ...machine, memoryBytes: config.memory('memory_limit', machine.memoryBytes) }
  const security = await openSecurity(config, world, env)
  const hashSeed = makeHashSeed(world.random)
  const limits = limitsOf(config)
  const memory = new MemoryBudget(memoryBudgetBytes(world.memoryBytes, queryThreadsOf(config)), memoryShares)
  const gate = new QueryGate(world.clock, limits, memory.account('queries'))
  const ownUrl = `${security.tls === undefined ? 'http' : 'https'}://${config.text('listen.http')}`
  return {
    config,
    world,
    env,
    limits,
    overrides: await openOverrides(config, world),
    usage: { metrics: new TenantUsage(), logs: new TenantUsage(), traces: new TenantUsage() },
    memory,
    gate,
    security,
    formats: new FormatRecords(world, { dataDirectory: config.text('data_dir'), role: config.text('role') }),
    slowReaders: { http: 0, grpc: 0 },
    audit: new Audit(world.clock, world.log),
    tenancy: new Tenancy(config.text('tenancy') === 'on'),
    hashSeed,
    kernel: new WriteRequestKernel(hashSeed),
    running: new RunningQueries(world.clock, gate),
    startedMs: world.clock.nowMs(),
    isReader: config.text('role') === 'query',
    isInsertOnly: config.text('role') === 'insert',
    externalUrl: linkBaseOf(config.text('external_url') || ownUrl),
  }
}

/**
 * The tenant that a setting names, empty where it names none. Throws BadDataError for what is no tenant's name, and
 * where there are no tenants.
 */
export function tenantSetting({ config, tenancy }: Pick<Context, 'config' | 'tenancy'>, name: OptionName): string {
  const tenant = config.text(name)
  if (tenant === '') return ''
  if (!tenancy.isOn) throw new BadDataError(`${name} names a tenant; it needs tenancy=on`)
  try {
    checkTenantName(tenant)
  } catch (error) {
    throw new BadDataError(`${name}: ${messageOf(error)}`, { cause: error })
  }
  return tenant
}

/** The parser is loaded where there is a file: an agent's memory is small. */
async function openOverrides(config: Config, { files }: World): Promise<Overrides> {
  if (config.text('tenants_file') === '') return new Overrides()
  const { readTenants } = await import('./tenants-file.ts')
  return new Overrides((await readTenants(config, files))?.table)
}

/** Threads that answer queries; 0: there are no workers. */
export function queryThreadsOf(config: Config): number {
  if (config.text('role') === 'agent') return 0
  const wanted = config.text('workers')
  return wanted === 'auto' ? Math.max(1, availableParallelism() - 1) : Number(wanted)
}

/**
 * Lets the signal's bucket show that it can be used as the role needs it, and that it was not handed over to another
 * system. Throws for what is wrong; the cause says where the bucket is merely away.
 */
export async function prepareBucket(context: Context, signal: SignalName, bucket: Bucket): Promise<void> {
  const { config, world, isReader, formats } = context
  const ownPrefix = `${defaultTenants[signal]}/tercet/`
  // Before anything is put there.
  const checked = await formats.checkBucket(signal, bucket).then(
    () => undefined,
    (error: unknown) => error,
  )
  if (checked instanceof NewerFormatError) throw checked
  if (isAway(checked)) {
    const reason = explainStore(config, signal, 'get', checked)
    throw new BadDataError(`the bucket can't be used: get failed: ${reason}`, { cause: checked })
  }
  // What else is in the way of a question is in the probe's, too, which knows what right it takes.
  await probeBucket(bucket, ownPrefix, isReader, world.random, (operation, error) =>
    explainStore(config, signal, operation, error),
  )
  if (checked !== undefined) throw checked
  if (!isReader && !config.isOn('take_back')) await refuseHandedOver(bucket, `${ownPrefix}epoch/`)
}

/** A restart does not take back a bucket that was given to another system. */
async function refuseHandedOver(bucket: Bucket, epochPrefix: string): Promise<void> {
  const successor = await Fence.successorOf(bucket, epochPrefix)
  if (successor === undefined) return
  throw new BadDataError(
    `${bucket.description} was handed over to ${successor}. To write there again, stop those and start once with ` +
      '--take_back=true; to look, start with --role=query',
  )
}

const refusal: HttpReply = {
  status: 403,
  headers: { 'content-type': 'text/plain; charset=utf-8' },
  body:
    'This process has role=insert: it takes in and answers no queries. ' +
    'Ask one with role=query over the same bucket, or with role=all.\n',
}

/** Routes that answer queries: listed while they run, and refused where the role takes in only. */
export function queryRoutes(context: Context, routes: readonly GuardedRoute[]): GuardedRoute[] {
  const { running, isInsertOnly } = context
  if (!isInsertOnly) return running.watched(routes.map(route => countedQuery(context, route)))
  return routes.map(route => ({ ...route, handler: () => Promise.resolve(refusal) }))
}

/** The same route; where it is a query, it counts as one of its tenants. */
function countedQuery(context: Context, route: GuardedRoute): GuardedRoute {
  const { access, handler, takesTurns } = route
  if (takesTurns !== true || access.kind !== 'signal' || access.verb !== 'read') return route
  const count = queryCounter(context, access.signal)
  return {
    ...route,
    handler: request => {
      count(request)
      return handler(request)
    },
  }
}

/** Counts a query of the tenants that the caller names. */
export function queryCounter(
  { tenancy, usage }: Pick<Context, 'tenancy' | 'usage'>,
  signal: SignalName,
): (caller: Caller) => void {
  const scopeOf = tenancy.scopeOf(signal)
  return caller => {
    let tenants: readonly string[]
    try {
      tenants = scopeOf(caller).tenants
    } catch {
      // It is refused by its handler.
      return
    }
    usage[signal].queried(tenants)
  }
}

/** What an engine holds in memory. */
export interface MemoryHolder {
  readonly headBytes: number
  readonly cacheBytes: number
  releaseCaches(bytes: number): void
  spillEarly(bytes: number): void
}

/**
 * Lets the budget count what an engine holds, and ask it to give back what it only keeps for queries, and to cut its
 * heads early, by its part of what they all hold.
 */
export function countMemory({ memory }: Pick<Context, 'memory'>, engine: MemoryHolder): void {
  const heads = memory.account('heads')
  heads.measured(() => engine.headBytes)
  heads.onShortage(bytes => {
    const { headBytes } = engine
    if (headBytes > 0) engine.spillEarly((bytes * headBytes) / Math.max(headBytes, heads.heldBytes))
  })
  const caches = memory.account('caches')
  caches.measured(() => engine.cacheBytes)
  caches.onShortage(bytes => {
    engine.releaseCaches(bytes)
  })
}
