/** Looks now and then whether files that the configuration names have changed, and has them read again. */
import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import { Repeater } from '#core/clock.ts'
import { messageOf, NotFoundError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import { filesOf } from '#scrape/discovery/simple.ts'
import type { Config } from '../config.ts'
import type { Context } from '../context.ts'
import { makePart, type Part } from '../part.ts'

/** Names and contents of the files, as one text that changes with them. */
async function fingerprint(config: Config, files: Files): Promise<string> {
  const named = [config.text('scrape_config_file'), config.text('alertmanager_config_file')].filter(Boolean)
  const patterns = [...named, ...config.list('rule_files')]
  const hash = createHash('sha256')
  for (const pattern of patterns)
    for (const path of await filesOf({ files, directory: resolve('.') }, pattern))
      hash.update(`${path}\n`).update(await contentOf(path, files))
  return hash.digest('hex')
}

async function contentOf(path: string, files: Files): Promise<Uint8Array> {
  try {
    return await files.read(path)
  } catch (error) {
    if (error instanceof NotFoundError) return new Uint8Array(0)
    throw error
  }
}

/** `reload` reads all files; what is wrong in one changes nothing, and is said once for each change. */
export function makeWatching({ config, world }: Pick<Context, 'config' | 'world'>, reload: () => Promise<void>): Part {
  const { clock, files, log } = world
  const intervalMs = config.durationMs('files_check_interval')
  let last = ''
  let problem: string | undefined
  const look = async (): Promise<void> => {
    const now = await fingerprint(config, files)
    if (now === last) return
    last = now
    try {
      await reload()
      problem = undefined
      log.info('files have changed and were read again')
    } catch (error) {
      problem = messageOf(error)
      log.error('files have changed, and one is wrong; what was read before stays', { error: problem })
    }
  }
  let repeater: Repeater | undefined
  return makePart({
    name: 'files',
    metrics: registry => {
      const help = 'Is a file wrong that has changed since it was read?'
      registry.read('tercet_changed_file_wrong', help, 'gauge', () => (problem === undefined ? 0 : 1))
    },
    start: async () => {
      if (intervalMs === Infinity || intervalMs === 0) return
      last = await fingerprint(config, files)
      repeater = new Repeater(clock, intervalMs, () =>
        look().catch((error: unknown) => {
          log.warn('files could not be looked at', { error: messageOf(error) })
        }),
      )
    },
    stop: async () => {
      await repeater?.stop()
    },
    warning: () => (problem === undefined ? undefined : `a file that has changed is wrong: ${problem}`),
  })
}
