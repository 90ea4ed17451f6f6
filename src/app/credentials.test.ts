/** Files of credentials that change while they are read. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryFiles } from '#core/memory-files.ts'
import { seededRandom } from '#core/random.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { isRefusal } from '#net/auth.ts'
import { loadConfig } from './config.ts'
import { OwnCredentials } from './credentials.ts'

test('what was taken back stays so, although somebody began to read the file before and ends after', async () => {
  let content = 'old'
  /** What ends the reads that have begun, with what the file had then. */
  const ends: (() => void)[] = []
  let isSlow = false
  const files = new MemoryFiles()
  files.read = () => {
    const bytes = Buffer.from(content)
    return isSlow ? new Promise(resolve => ends.push(() => resolve(bytes))) : Promise.resolve(bytes)
  }
  const config = loadConfig({ environment: {}, flags: ['auth.bearer_token_file=/token'] })
  const world = { files, clock: new VirtualClock(0), random: seededRandom(1), env: {} }
  const credentials = await OwnCredentials.open(config, world)
  content = 'older'
  isSlow = true
  const first = credentials.refresh()
  await new Promise(setImmediate)
  content = 'new'
  const second = credentials.refresh()
  await new Promise(setImmediate)
  // The last that began ends first, where both are under way.
  isSlow = false
  for (const end of ends.reverse()) {
    end()
    await new Promise(setImmediate)
  }
  assert.deepEqual([await first, await second], [true, true])
  const isLetIn = async (token: string): Promise<boolean> =>
    !isRefusal(await credentials.auth.admit({ authorization: `Bearer ${token}` }))
  assert.deepEqual([await isLetIn('older'), await isLetIn('new')], [false, true])
})
