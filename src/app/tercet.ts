/** The whole process: a configuration and a world in, a running Tercet out. */
import { dirname, resolve } from 'node:path'
import { Registry } from '#core/counter.ts'
import { BadDataError } from '#core/errors.ts'
import { NewerFormatError } from '#core/own-formats.ts'
import type { Remote } from '#forward/remote.ts'
import type { LocalReply, LocalRequest } from '#net/local-requests.ts'
import type { Signal } from '#store/signal.ts'
import type { Config } from './config.ts'
import { makeContext, type Context, type Environment } from './context.ts'
import { Lifecycle, type Address } from './lifecycle.ts'
import type { Process } from './role.ts'
import { roleNames, roles, type RoleName } from './roles.ts'
import { Servers } from './servers.ts'
import type { World } from './world.ts'

export interface Tercet {
  /** `http://host:port` of the main address; `https:` with TLS. */
  readonly url: string
  readonly addresses: readonly Address[]
  /** Metrics, logs and traces; empty for an agent. */
  readonly signals: readonly Signal[]
  /** To whom an agent sends. */
  readonly remotes: readonly Remote[]
  /** Answers a request of this process as the HTTP address would; no credentials are asked for. */
  answer(request: LocalRequest): Promise<LocalReply>
  /** Cuts every head into blocks and resolves when the buckets have them. */
  flush(): Promise<void>
  /** Reads the files that the configuration names again; an error in one changes nothing, and is thrown. */
  reload(): Promise<void>
  close(): Promise<void>
}

function roleOf(config: Config): RoleName {
  const name = config.text('role')
  const role = roleNames.find(known => known === name)
  if (role === undefined) throw new BadDataError(`role ${name} is not one of ${roleNames.join(', ')}`)
  return role
}

/**
 * Reads every file that the configuration names, and throws BadDataError for what is wrong in one, before anything is
 * opened or changed.
 */
async function checkFiles({ config, world, env, tenancy }: Context): Promise<void> {
  const [{ loadPrometheusConfig }, { loadRules }, { loadAlertmanagerConfig }] = await Promise.all([
    import('./scraping.ts'),
    import('./alerting.ts'),
    import('./alertmanager.ts'),
  ])
  const { files, log } = world
  const onMissing = (path: string, isPattern: boolean): void => {
    if (isPattern) log.warn('no file of rules matches', { pattern: path })
    else log.warn('a file of rules does not exist', { file: path })
  }
  const scrapeFile = config.text('scrape_config_file')
  if (scrapeFile !== '') {
    const { ruleFiles } = await loadPrometheusConfig(scrapeFile, files, env, tenancy.isOn)
    await loadRules(ruleFiles, files, dirname(resolve(scrapeFile)), env, onMissing, tenancy.isOn)
  }
  await loadRules(config.list('rule_files'), files, resolve('.'), env, onMissing, tenancy.isOn)
  await loadAlertmanagerConfig(config.text('alertmanager_config_file'), files, env)
}

/**
 * Throws BadDataError for a wrong configuration and for the data of a newer program, ConflictError for a data
 * directory that another process has, StartError for a part that could not start; nothing is left running then.
 */
export async function startTercet(config: Config, world: World, env = process.env): Promise<Tercet> {
  const lock = await world.lockDirectory(config.text('data_dir'))
  try {
    const tercet = await startLocked(config, world, env)
    return {
      ...tercet,
      get remotes() {
        return tercet.remotes
      },
      close: () =>
        tercet.close().finally(() => {
          lock.release()
        }),
    }
  } catch (error) {
    lock.release()
    throw error
  }
}

/** Throws StartError; NewerFormatError as it is, whatever part has met the data of a newer program. */
async function started(lifecycle: Lifecycle, registry: Registry): Promise<void> {
  try {
    await lifecycle.start(registry)
  } catch (error) {
    throw error instanceof Error && error.cause instanceof NewerFormatError ? error.cause : error
  }
}

async function startLocked(config: Config, world: World, env: Environment): Promise<Tercet> {
  const role = roleOf(config)
  const context = await makeContext(config, world, env)
  await context.formats.checkDirectory()
  if (role === 'all' || role === 'insert') await checkFiles(context)
  const registry = new Registry()
  const reload = async (): Promise<void> => {
    if (role !== 'agent') await checkFiles(context)
    await lifecycle.reload()
  }
  const own: Process = {
    registry,
    notReady: () => lifecycle.notReady(),
    warnings: () => lifecycle.warnings(),
    states: () => lifecycle.states(),
    reload,
  }
  const { parts, signals, remotes, onRequest } = await roles[role](context, own)
  const servers = new Servers(context, parts, () => lifecycle.notRunning, onRequest)
  const lifecycle = new Lifecycle(world.log, parts, servers)
  await started(lifecycle, registry)
  await context.formats.noteStarted()
  return {
    url: servers.url,
    addresses: [...servers.addresses, ...lifecycle.listenerAddresses],
    signals,
    get remotes() {
      return remotes()
    },
    answer: request => servers.local.answer(request),
    flush: async () => {
      await Promise.all(signals.map(signal => signal.flush()))
    },
    reload,
    close: () => lifecycle.stop(),
  }
}
