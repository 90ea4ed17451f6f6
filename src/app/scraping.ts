/** prometheus.yml in the running process: read at the start and at each reload, and scraped by. */
import { dirname, resolve } from 'node:path'
import type { ActiveTarget, TargetsSource } from '#api/prometheus/targets.ts'
import type { ShownTenants } from '#api/tenancy.ts'
import { BadDataError, messageOf } from '#core/errors.ts'
import type { MetricsAppender } from '#metrics/append.ts'
import { HttpClient } from '#net/http-client.ts'
import type { OutgoingGuard } from '#net/outgoing-guard.ts'
import { systemResolver } from '#net/resolver.ts'
import { readPrometheusConfig, type PrometheusConfig, type ScrapeJob } from '#scrape/config.ts'
import type { DiscoveryWorld } from '#scrape/discovery/discovery.ts'
import { filesOf } from '#scrape/discovery/simple.ts'
import { ScrapeManager } from '#scrape/manager.ts'
import type { World } from './world.ts'

export interface ScrapingOptions {
  world: World
  env: Readonly<Record<string, string | undefined>>
  file: string
  appender: MetricsAppender
  /** Whose the series of jobs are that do not say it. */
  tenant: string
  hasTenancy: boolean
  bodyBytesMax: number
  version: string
  guard: OutgoingGuard
  /** Called with the file's content before its targets are scraped; undefined: no file is configured. */
  prepare?: (config: PrometheusConfig | undefined) => Promise<void>
}

/** Reads prometheus.yml and the files that it names. Throws BadDataError. */
export async function loadPrometheusConfig(
  file: string,
  files: World['files'],
  env: Readonly<Record<string, string | undefined>>,
  hasTenants = false,
): Promise<PrometheusConfig> {
  const directory = dirname(resolve(file))
  const read = async (path: string): Promise<string> => {
    try {
      return Buffer.from(await files.read(path)).toString('utf8')
    } catch (error) {
      throw new BadDataError(`${path}: ${messageOf(error)}`, { cause: error })
    }
  }
  const text = await read(file)
  const first = readPrometheusConfig(text, file, { env, hasTenants })
  if (first.scrapeConfigFiles.length === 0) return first
  const more = (
    await Promise.all(first.scrapeConfigFiles.map(pattern => filesOf({ files, directory }, pattern)))
  ).flat()
  return readPrometheusConfig(
    text,
    file,
    { env, hasTenants },
    await Promise.all(more.map(async path => ({ file: path, text: await read(path) }))),
  )
}

export class Scraping implements TargetsSource {
  readonly #options: ScrapingOptions
  readonly discovery: DiscoveryWorld
  readonly #manager: ScrapeManager
  config: PrometheusConfig | undefined
  /** Jobs that don't come from the file. */
  #operatorJobs: readonly ScrapeJob[] = []

  constructor(options: ScrapingOptions) {
    const { world, env, file, appender, hasTenancy, bodyBytesMax, version, guard } = options
    this.#options = options
    const directory = dirname(resolve(file === '' ? '.' : file))
    const { clock, files, log } = world
    this.discovery = {
      clock,
      files,
      log,
      directory,
      env,
      resolve: systemResolver,
      client: settings => new HttpClient(settings, { clock, files, env, directory, guard }),
    }
    this.#manager = new ScrapeManager({ clock, appender, hasTenancy, bodyBytesMax, version }, this.discovery)
  }

  /** Reads the file and scrapes by it from now on; an error in it changes nothing. */
  async load(): Promise<void> {
    const { file, world, env, prepare, hasTenancy } = this.#options
    if (file === '') {
      await prepare?.(undefined)
      return
    }
    const config = await loadPrometheusConfig(file, world.files, env, hasTenancy)
    for (const warning of config.warnings)
      world.log.warn('the configuration asks for something that is not supported', { file, warning })
    await prepare?.(config)
    this.config = config
    await this.#apply()
  }

  async #apply(): Promise<void> {
    const own = this.config?.jobs ?? []
    const names = new Set(own.map(job => job.jobName))
    const jobs = [...own, ...this.#operatorJobs.filter(job => !names.has(job.jobName))]
    const { tenant } = this.#options
    await this.#manager.apply(jobs.map(job => (job.tenant === '' ? { ...job, tenant } : job)))
  }

  async setOperatorJobs(jobs: readonly ScrapeJob[]): Promise<void> {
    this.#operatorJobs = jobs
    await this.#apply()
  }

  pools(tenants?: ShownTenants): string[] {
    const withTargets = new Set(this.active(tenants).map(({ scrapePool }) => scrapePool))
    return this.#manager.jobs
      .filter(job => isShown(job.tenant, tenants) || withTargets.has(job.jobName))
      .map(job => job.jobName)
  }
  active(tenants?: ShownTenants): ActiveTarget[] {
    return this.#manager
      .active()
      .filter(({ target }) => isShown(target.tenant, tenants))
      .map(({ job, target, state }) => ({
        scrapePool: job.jobName,
        tenant: target.tenant,
        labels: target.labels,
        discovered: target.discovered,
        url: target.url,
        intervalMs: target.intervalMs,
        timeoutMs: target.timeoutMs,
        ...state,
      }))
  }
  /** Whose they would have been is not known: they are shown to the tenant of their job. */
  dropped(tenants?: ShownTenants): { scrapePool: string; discovered: readonly (readonly [string, string])[] }[] {
    return this.#manager
      .dropped()
      .filter(({ job }) => isShown(job.tenant, tenants))
      .map(({ job, discovered }) => ({ scrapePool: job.jobName, discovered }))
  }
  droppedCounts(tenants?: ShownTenants): Record<string, number> {
    const shown = this.#manager.droppedCounts().filter(({ job }) => isShown(job.tenant, tenants))
    return Object.fromEntries(shown.map(({ job, count }) => [job.jobName, count]))
  }

  stop(): Promise<void> {
    return this.#manager.stop()
  }
}

function isShown(tenant: string, tenants: ShownTenants): boolean {
  return tenants === undefined || tenants.includes(tenant)
}
