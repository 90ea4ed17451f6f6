/** All jobs: discovery, targets, loops. A new configuration restarts only the jobs that it changes. */
import type { Log } from '#core/log.ts'
import { identityOf } from '#core/secret.ts'
import type { HttpClient } from '#net/http-client.ts'
import type { ScrapeJob } from './config.ts'
import { consulDiscovery } from './discovery/consul.ts'
import type { Discovery, DiscoveryWorld, TargetGroup } from './discovery/discovery.ts'
import { dockerDiscovery } from './discovery/docker.ts'
import { kubernetesDiscovery } from './discovery/kubernetes.ts'
import type { DiscoverySettings } from './discovery/settings.ts'
import { dnsDiscovery, fileDiscovery, httpDiscovery, staticDiscovery } from './discovery/simple.ts'
import { LabelTable } from './label-table.ts'
import { ScrapeLoop, type ScrapeState, type ScrapeWorld } from './scrape-loop.ts'
import { makeTargets, type Target } from './target.ts'

/** The discovery that settings ask for, not started. */
export function makeDiscovery(settings: DiscoverySettings, world: DiscoveryWorld): Discovery {
  switch (settings.kind) {
    case 'static':
      return staticDiscovery(settings)
    case 'file':
      return fileDiscovery(settings, world)
    case 'http':
      return httpDiscovery(settings, world)
    case 'dns':
      return dnsDiscovery(settings, world)
    case 'docker':
      return dockerDiscovery(settings, world)
    case 'consul':
      return consulDiscovery(settings, world)
    case 'kubernetes':
      return kubernetesDiscovery(settings, world)
  }
}

/** A target that is scraped, with its job. */
export interface TargetView {
  job: ScrapeJob
  target: Target
  state: ScrapeState
}
/** Labels before relabelling, of a target that was dropped. */
export interface DroppedView {
  job: ScrapeJob
  discovered: readonly [string, string][]
}

const droppedMax = 1000

interface ScrapePoolWorld extends ScrapeWorld {
  /** Targets may say whose they are. */
  hasTenancy: boolean
}

/** One job: its discoveries, and a loop for every target. */
class ScrapePool {
  readonly job: ScrapeJob
  readonly text: string
  readonly #world: ScrapePoolWorld
  readonly #log: Log
  readonly #client: HttpClient
  readonly #discoveries: Discovery[]
  readonly #groups: (readonly TargetGroup[])[]
  readonly #loops = new Map<string, ScrapeLoop>()
  /** One change after the other. */
  #change: Promise<void> = Promise.resolve()
  dropped: (readonly [string, string][])[] = []
  droppedCount = 0
  #isStopped = false

  constructor(job: ScrapeJob, text: string, world: ScrapePoolWorld, discovery: DiscoveryWorld) {
    this.job = job
    this.text = text
    this.#world = world
    this.#log = discovery.log
    this.#client = discovery.client(job.client)
    this.#discoveries = job.discoveries.map(settings => makeDiscovery(settings, discovery))
    this.#groups = this.#discoveries.map(() => [])
  }

  start(): void {
    this.#discoveries.forEach((discovery, i) => {
      discovery.start(groups => {
        this.#groups[i] = groups
        this.#change = this.#change
          .then(() => this.#apply())
          .catch((error: unknown) => {
            this.#log.error('targets could not be applied', { job: this.job.jobName, error: String(error) })
          })
      })
    })
  }

  async #apply(): Promise<void> {
    if (this.#isStopped) return
    const { active, dropped, problems } = makeTargets(this.job, this.#groups.flat(), this.#world.hasTenancy)
    for (const problem of problems) this.#log.warn("a target can't be scraped", { job: this.job.jobName, problem })
    this.droppedCount = dropped.length
    this.dropped = dropped.slice(0, this.job.keepDroppedTargets > 0 ? this.job.keepDroppedTargets : droppedMax)
    const isOver = this.job.targetLimit > 0 && active.length > this.job.targetLimit
    const problem = isOver
      ? `target_limit exceeded (number of targets: ${active.length}, limit: ${this.job.targetLimit})`
      : ''
    const wanted = new Map(active.map(target => [target.key, target]))
    const gone = [...this.#loops].filter(([key]) => !wanted.has(key))
    for (const [key] of gone) this.#loops.delete(key)
    for (const [key, target] of wanted) {
      if (this.#loops.has(key)) continue
      const loop = new ScrapeLoop(target, this.job, this.#client, this.#world)
      this.#loops.set(key, loop)
      loop.start()
    }
    for (const loop of this.#loops.values()) loop.refusal = problem
    await Promise.all(gone.map(([, loop]) => loop.stop(true)))
  }

  views(): TargetView[] {
    return [...this.#loops.values()].map(({ target, state }) => ({ job: this.job, target, state }))
  }

  async stop(isGone: boolean): Promise<void> {
    this.#isStopped = true
    await Promise.all(this.#discoveries.map(discovery => discovery.stop()))
    await this.#change
    await Promise.all([...this.#loops.values()].map(loop => loop.stop(isGone)))
    await this.#client.close()
  }
}

/** The jobs of the configuration. */
export class ScrapeManager {
  readonly #world: ScrapePoolWorld
  readonly #discovery: DiscoveryWorld
  readonly #pools = new Map<string, ScrapePool>()

  constructor(world: Omit<ScrapePoolWorld, 'builders' | 'labels'>, discovery: DiscoveryWorld) {
    this.#world = { ...world, builders: [], labels: new LabelTable() }
    this.#discovery = discovery
  }

  /** Jobs that stay as they are go on undisturbed. */
  async apply(jobs: readonly ScrapeJob[]): Promise<void> {
    const wanted = new Map(jobs.map(job => [job.jobName, { job, text: textOf(job) }]))
    const gone = [...this.#pools.values()].filter(pool => wanted.get(pool.job.jobName)?.text !== pool.text)
    for (const pool of gone) this.#pools.delete(pool.job.jobName)
    // What goes on elsewhere ends here.
    const goesOn = ({ job }: ScrapePool): boolean => wanted.get(job.jobName)?.job.tenant === job.tenant
    await Promise.all(gone.map(pool => pool.stop(!goesOn(pool))))
    for (const [name, { job, text }] of wanted) {
      if (this.#pools.has(name)) continue
      const pool = new ScrapePool(job, text, this.#world, this.#discovery)
      this.#pools.set(name, pool)
      pool.start()
    }
  }

  get jobs(): ScrapeJob[] {
    return [...this.#pools.values()].map(pool => pool.job)
  }
  active(): TargetView[] {
    return [...this.#pools.values()].flatMap(pool => pool.views())
  }
  dropped(): DroppedView[] {
    return [...this.#pools.values()].flatMap(pool => pool.dropped.map(discovered => ({ job: pool.job, discovered })))
  }
  droppedCounts(): { job: ScrapeJob; count: number }[] {
    return [...this.#pools.values()].map(({ job, droppedCount }) => ({ job, count: droppedCount }))
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#pools.values()].map(pool => pool.stop(false)))
    this.#pools.clear()
  }
}

/** Equal for jobs that do the same. */
function textOf(job: ScrapeJob): string {
  return identityOf(job, ['regex', 'memo'])
}
