/** A whole Tercet in the test's own process, on free ports, in a directory of its own. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog } from '#core/log.ts'
import { loadConfig } from '../src/app/config.ts'
import { startTercet, type Tercet } from '../src/app/tercet.ts'
import { systemWorld, type World } from '../src/app/world.ts'

export interface Running {
  tercet: Tercet
  url: string
  directory: string
  stop(): Promise<void>
}

export function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'tercet-test-'))
}

export async function runTercet(
  flags: readonly string[] = [],
  directory = temporaryDirectory(),
  world: Partial<World> = {},
): Promise<Running> {
  const all = [
    'listen.http=127.0.0.1:0',
    'listen.otlp_http=off',
    'listen.otlp_grpc=off',
    'self_scrape=false',
    'self_trace=false',
    'disk_free_min=0',
    'workers=0',
    `data_dir=${directory}/data`,
    ...flags,
  ]
  // Later flags win.
  const tercet = await startTercet(loadConfig({ environment: {}, flags: all }), { ...systemWorld(silentLog), ...world })
  return {
    tercet,
    url: tercet.url,
    directory,
    async stop() {
      await tercet.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
