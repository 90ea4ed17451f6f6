/** alertmanager.yml in the running process: the file with its templates, and the Alertmanager that notifies by it. */
import { dirname, resolve } from 'node:path'
import { Alertmanagers, type AlertmanagersWorld } from '#alert/alertmanager/alertmanagers.ts'
import { readAlertmanagerConfig, type AlertmanagerConfig } from '#alert/alertmanager/config.ts'
import { Templates } from '#alert/alertmanager/template-data.ts'
import type { AlertReceiver } from '#alert/notifier.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { BadDataError, messageOf, NotFoundError } from '#core/errors.ts'
import type { AlertLimits } from '#core/limits.ts'
import { HttpClient } from '#net/http-client.ts'
import { sendMail } from '#net/mail.ts'
import type { OutgoingGuard } from '#net/outgoing-guard.ts'
import { filesOf } from '#scrape/discovery/simple.ts'
import type { World } from './world.ts'

/** The configuration where none is given: alerts are kept and shown, and nobody is notified. */
const noConfig = 'route:\n  receiver: default\nreceivers:\n  - name: default\n'

/** Reads alertmanager.yml and its templates. Throws BadDataError. */
export async function loadAlertmanagerConfig(
  file: string,
  files: World['files'],
  env: Readonly<Record<string, string | undefined>>,
): Promise<{ config: AlertmanagerConfig; templates: Templates; templateCount: number }> {
  if (file === '')
    return { config: readAlertmanagerConfig(noConfig, 'default'), templates: new Templates([]), templateCount: 0 }
  const read = async (path: string): Promise<string> => {
    try {
      return Buffer.from(await files.read(path)).toString('utf8')
    } catch (error) {
      throw new BadDataError(`${path}: ${messageOf(error)}`, { cause: error })
    }
  }
  const config = readAlertmanagerConfig(await read(file), file, env)
  const paths = (
    await Promise.all(config.templates.map(pattern => filesOf({ files, directory: dirname(resolve(file)) }, pattern)))
  ).flat()
  const sources = await Promise.all(paths.map(async path => ({ file: path, text: await read(path) })))
  try {
    return { config, templates: new Templates(sources), templateCount: sources.length }
  } catch (error) {
    throw new BadDataError(`templates of ${file}: ${messageOf(error)}`, { cause: error })
  }
}

export interface OwnAlertmanagerOptions {
  world: World
  env: Readonly<Record<string, string | undefined>>
  file: string
  dataDir: string
  bucket: Bucket
  /** Where copies of states lie; ends in `/`. */
  backupPrefix: string
  /** Whose alerts there are without tenancy; its state lies where that of all was before there were tenants. */
  defaultTenant: string
  hasTenancy: boolean
  tenantsMax: number
  externalUrl: string
  guard: OutgoingGuard
  limits: AlertLimits
}

function worldOf(options: OwnAlertmanagerOptions): AlertmanagersWorld {
  const { world, env, file, externalUrl, guard, limits, hasTenancy, tenantsMax } = options
  const { clock, random, log, files } = world
  const directory = dirname(resolve(file === '' ? '.' : file))
  return {
    clock,
    random,
    log,
    files,
    placeOf: tenant => placeOf(tenant, options),
    externalUrl,
    limits,
    hasTenancy,
    tenantsMax,
    mail: mail => sendMail(mail, { guard, clock }),
    client: settings => new HttpClient(settings, { clock, files, env, directory, guard }),
    readSecret: async path =>
      Buffer.from(await files.read(path.startsWith('/') ? path : `${directory}/${path}`)).toString('utf8'),
  }
}

function placeOf(
  tenant: string,
  { dataDir, bucket, backupPrefix, defaultTenant }: OwnAlertmanagerOptions,
): ReturnType<AlertmanagersWorld['placeOf']> {
  const own = tenant === defaultTenant ? '' : `tenants/${tenant}/`
  const key = `${backupPrefix}${own}state.json`
  return {
    statePath: `${dataDir}/alertmanager/${own}state.json`,
    backup: {
      read: () => readIfPresent(bucket, key),
      write: bytes => bucket.put(key, bytes),
      remove: () => bucket.delete(key),
    },
  }
}

async function readIfPresent(bucket: Bucket, key: string): Promise<Uint8Array | undefined> {
  try {
    return await bucket.get(key)
  } catch (error) {
    if (error instanceof NotFoundError) return undefined
    throw error
  }
}

export class OwnAlertmanager {
  readonly #options: OwnAlertmanagerOptions
  readonly alertmanagers: Alertmanagers

  private constructor(options: OwnAlertmanagerOptions, alertmanagers: Alertmanagers) {
    this.#options = options
    this.alertmanagers = alertmanagers
  }

  /** Reads the configuration and its templates. Throws BadDataError. Nothing runs before `start`. */
  static async make(options: OwnAlertmanagerOptions): Promise<OwnAlertmanager> {
    const { world, env, file } = options
    const { config, templates } = await loadAlertmanagerConfig(file, world.files, env)
    for (const warning of config.warnings)
      world.log.warn('the configuration asks for something that is not supported', { file, warning })
    return new OwnAlertmanager(options, new Alertmanagers(config, templates, worldOf(options)))
  }

  /** Reads back silences and the log of notifications, and begins to notify. */
  start(): Promise<void> {
    return this.alertmanagers.start(this.#options.defaultTenant)
  }

  /** Reads the file again and notifies by it from now on; an error in it changes nothing. */
  async reload(): Promise<void> {
    const { file, world, env } = this.#options
    if (file === '') return
    const { config, templates } = await loadAlertmanagerConfig(file, world.files, env)
    this.alertmanagers.apply(config, templates)
  }

  /** Takes the alerts of the process's own rules without HTTP. */
  get receiver(): AlertReceiver {
    return {
      url: `${this.#options.externalUrl}/api/v2/alerts`,
      relabelRules: [],
      send: async (alerts, tenant) => {
        const alertmanager = await this.alertmanagers.of(tenant)
        const { refused, problems } = await alertmanager.receive(
          alerts.map(a => ({
            labels: a.labels,
            annotations: a.annotations,
            startsMs: a.startsMs,
            endsMs: a.endsMs,
            generatorUrl: a.generatorUrl,
          })),
        )
        if (refused > 0) throw new BadDataError(`${refused} alerts were refused: ${problems.join('; ')}`)
      },
    }
  }

  stop(): Promise<void> {
    return this.alertmanagers.stop()
  }
}
