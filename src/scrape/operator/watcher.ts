/** Follows the operators' objects in a cluster: jobs and rules that come and go with them, without any operator. */
import { posix } from 'node:path'
import type { Timer } from '#core/clock.ts'
import { BadDataError, messageOf } from '#core/errors.ts'
import { addAll } from '#core/lists.ts'
import { ownOf } from '#core/own.ts'
import { quote } from '#core/text.ts'
import type { HttpClient } from '#net/http-client.ts'
import { readPrometheusConfig, type ScrapeJob } from '../config.ts'
import type { DiscoveryWorld } from '../discovery/discovery.ts'
import { parseAnswer } from '../discovery/fetch-json.ts'
import { inCluster, isObjectName, serviceAccountDirectory } from '../discovery/kube-access.ts'
import { KubeWatch } from '../discovery/kube-watch.ts'
import { jobsOf, operatorKinds, type OperatorKind, type ReadReference } from './jobs.ts'

/** `rules`: the groups of an object, as a rule file has them; `file` stands for its path. */
export interface OperatorFindings {
  jobs: { namespace: string; job: ScrapeJob }[]
  rules: { namespace: string; file: string; text: string }[]
}

const quietMs = 200

/** What an object says by itself, and not of the process. */
const ownTexts = ['labels', 'params', 'endpoint_params']

/**
 * Whoever writes an object of a cluster has what its files hold sent to a target of theirs: no others are for that but
 * those of the service account, which monitors of Kubernetes' own parts name. Throws BadDataError.
 */
function checkFiles(value: unknown, directory: string): void {
  if (Array.isArray(value)) {
    for (const one of value) checkFiles(one, directory)
    return
  }
  if (typeof value !== 'object' || value === null) return
  for (const [name, inner] of Object.entries(value)) {
    if (ownTexts.includes(name)) continue
    checkFiles(inner, directory)
    if (!name.endsWith('_file') || typeof inner !== 'string' || inner === '') continue
    const path = posix.normalize(inner).replace(/^\/run\//, '/var/run/')
    if (!path.startsWith(`${directory}/`))
      throw new BadDataError(`${name}: ${quote(inner)} is a file of the process; objects name those of ${directory}`)
  }
}

/** Calls `onFindings` with all jobs and rules, and again after changes. */
export class OperatorWatcher {
  readonly #world: DiscoveryWorld
  readonly #onFindings: (findings: OperatorFindings) => Promise<void>
  #client: HttpClient | undefined
  #watches: { kind: OperatorKind; watch: KubeWatch }[] = []
  #timer: Timer | undefined
  #running: Promise<void> = Promise.resolve()
  #isStopped = false
  /** Faults of objects, by kind and name: each is logged once. */
  #problems = new Map<string, string>()

  constructor(world: DiscoveryWorld, onFindings: (findings: OperatorFindings) => Promise<void>) {
    this.#world = world
    this.#onFindings = onFindings
  }

  /** Throws BadDataError outside of a cluster. */
  start(): void {
    const access = inCluster(this.#world.env)
    if (access === undefined)
      throw new BadDataError(
        "the operators' objects can be followed in a cluster only (KUBERNETES_SERVICE_HOST is not set)",
      )
    const { apiServer, client: settings } = access
    const client = (this.#client = this.#world.client(settings))
    const changed = (): void => {
      if (this.#isStopped || !this.#watches.every(w => w.watch.isSynced)) return
      this.#timer?.cancel()
      this.#timer = this.#world.clock.after(quietMs, () => {
        this.#running = this.#running
          .then(() => this.#collect(apiServer, client))
          .catch((error: unknown) => {
            this.#world.log.error("the operators' objects could not be applied", { error: messageOf(error) })
          })
      })
    }
    this.#watches = operatorKinds.map(({ kind, path }) => ({
      kind,
      watch: new KubeWatch(
        { clock: this.#world.clock, log: this.#world.log, client, apiServer },
        path,
        { label: '', field: '' },
        changed,
      ),
    }))
    for (const { watch } of this.#watches) watch.start()
  }

  async #collect(apiServer: string, client: HttpClient): Promise<void> {
    const read: ReadReference = async (kind, namespace, name, key) => {
      const wrong = [namespace, name].find(one => !isObjectName(one))
      if (wrong !== undefined) throw new BadDataError(`${kind}: ${quote(wrong)} is not the name of an object`)
      const reply = await client.send(`${apiServer}/api/v1/namespaces/${namespace}/${kind}/${name}`, {
        timeoutMs: 10_000,
        bodyBytesMax: 16 << 20,
      })
      if (reply.status !== 200) throw new BadDataError(`${kind} ${namespace}/${name}: the API answered ${reply.status}`)
      const { data = {} } = parseAnswer(reply.body, `${kind} ${namespace}/${name}`) as { data?: Record<string, string> }
      const value = ownOf(data, key)
      if (value === undefined) throw new BadDataError(`${kind} ${namespace}/${name} has no key ${key}`)
      return kind === 'secrets' ? Buffer.from(value, 'base64').toString('utf8') : value
    }
    const findings: OperatorFindings = { jobs: [], rules: [] }
    const problems = new Map<string, string>()
    for (const { kind, watch } of this.#watches) {
      for (const found of watch.objects.values()) {
        const { name, namespace = '' } = found.metadata
        const place = `${kind} ${namespace}/${name}`
        if (kind === 'PrometheusRule' || kind === 'VMRule') {
          findings.rules.push({
            namespace,
            file: place,
            text: JSON.stringify({ groups: (found['spec'] as { groups?: unknown } | undefined)?.groups ?? [] }),
          })
          continue
        }
        try {
          const made = await jobsOf(kind, found, read)
          checkFiles(made, serviceAccountDirectory(this.#world.env))
          const text = JSON.stringify({ scrape_configs: made })
          const { jobs } = readPrometheusConfig(text, place, { env: {} })
          addAll(
            findings.jobs,
            jobs.map(job => ({ namespace, job })),
          )
        } catch (error) {
          problems.set(place, messageOf(error))
          if (this.#problems.get(place) !== messageOf(error))
            this.#world.log.warn('an object is left out', { object: place, error: messageOf(error) })
        }
      }
    }
    this.#problems = problems
    if (!this.#isStopped) await this.#onFindings(findings)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#timer?.cancel()
    await Promise.all(this.#watches.map(({ watch }) => watch.stop()))
    await this.#running
    await this.#client?.close()
  }
}
