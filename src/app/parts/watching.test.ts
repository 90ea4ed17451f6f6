import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { after, test } from 'node:test'
import type { Files } from '#core/files.ts'
import { silentLog } from '#core/log.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { temporaryDirectory } from '../../../test/run-tercet.ts'
import { untilTrue } from '../../../test/until.ts'
import { loadConfig } from '../config.ts'
import { systemWorld } from '../world.ts'
import { makeWatching } from './watching.ts'

const directory = temporaryDirectory()
after(() => {
  rmSync(directory, { recursive: true, force: true })
})

test('files are read again when one changes, comes or goes; a wrong one is a warning until it is right', async () => {
  mkdirSync(`${directory}/rules`)
  const clock = new VirtualClock(0)
  const flags = [
    'files_check_interval=30s',
    `rule_files=${directory}/rules/*.yml`,
    `alertmanager_config_file=${directory}/alertmanager.yml`,
  ]
  let reloads = 0
  let failure: Error | undefined
  const world = systemWorld(silentLog)
  let underWay = 0
  /** Says when nothing of a look is under way: it must not see files of before and after a change. */
  const files = new Proxy(world.files, {
    get: (target, name: keyof Files) =>
      async function (...args: unknown[]): Promise<unknown> {
        underWay++
        try {
          return await (target[name] as (...args: unknown[]) => Promise<unknown>)(...args)
        } finally {
          underWay--
        }
      },
  })
  const part = makeWatching(
    { config: loadConfig({ environment: {}, flags }), world: { ...world, files, clock } },
    () => {
      reloads++
      return failure === undefined ? Promise.resolve() : Promise.reject(failure)
    },
  )
  await part.start()
  /** Time goes on until files were read again so often, and once more: an unchanged file is not. */
  const readAgain = async (times: number): Promise<void> => {
    const look = async (): Promise<boolean> => {
      await clock.advance(30_000)
      while (underWay > 0) await clock.yield()
      await clock.yield()
      return reloads === times
    }
    await untilTrue(look, `${times} times`)
    await look()
  }
  writeFileSync(`${directory}/rules/a.yml`, 'groups: []')
  await readAgain(1)
  failure = new Error('a.yml:1:1: no')
  writeFileSync(`${directory}/alertmanager.yml`, 'x')
  await readAgain(2)
  assert.match(part.warning?.() ?? '', /a\.yml:1:1: no/)
  failure = undefined
  rmSync(`${directory}/rules/a.yml`)
  await readAgain(3)
  assert.equal(part.warning?.(), undefined)
  assert.equal(reloads, 3)
  await part.stop()
})

test('without an interval nobody looks', async () => {
  const clock = new VirtualClock(0)
  const config = loadConfig({ environment: {}, flags: [`rule_files=${directory}/none/*.yml`] })
  const part = makeWatching({ config, world: { ...systemWorld(silentLog), clock } }, () =>
    Promise.reject(new Error('unexpected')),
  )
  await part.start()
  await clock.advance(1e9)
  assert.equal(part.warning?.(), undefined)
  await part.stop()
})
