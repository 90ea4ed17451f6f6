/** One user by `auth.username`: its password is tried no more often, and noted no less, than those of a file. */
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { silentLog, type LogFields } from '#core/log.ts'
import { runTercet, temporaryDirectory } from '../run-tercet.ts'
import { credentialsFile, type Credential } from './access-world.ts'

const reader: Credential = { name: 'reader', verbs: ['read'], isUser: true }
const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`

async function filesOf(password: string): Promise<{ directory: string; flags: string[]; file: string }> {
  const directory = temporaryDirectory()
  const file = join(directory, 'credentials.yaml')
  writeFileSync(join(directory, 'password'), `${password}\n`)
  writeFileSync(file, await credentialsFile([reader]))
  return { directory, flags: [`auth.password_file=${join(directory, 'password')}`], file }
}

for (const isWithFile of [false, true])
  test(`the user of auth.username, ${isWithFile ? 'beside a file of credentials' : 'alone'}`, async () => {
    const { directory, flags, file } = await filesOf('sécret:x')
    const logins: string[] = []
    const log = {
      ...silentLog,
      info: (message: string, { who, action, outcome }: LogFields = {}) => {
        if (message === 'audit') logins.push([who, action, outcome].join(' '))
      },
    }
    const all = [...flags, 'auth.username=me', ...(isWithFile ? [`auth.file=${file}`] : [])]
    const run = await runTercet(all, directory, { log })
    try {
      const ask = async (authorization: string): Promise<number> =>
        (await fetch(`${run.url}/api/v1/status/config`, { headers: { authorization } })).status
      assert.equal(await ask(basic('me:sécret:x')), 200)
      assert.equal(await ask(`BASIC   ${Buffer.from('me:sécret:x').toString('base64')}  `), 200)
      for (const wrong of [basic('me:sécret'), basic('other:sécret:x'), 'Basic !!!', 'Basic', ''])
        assert.equal(await ask(wrong), 401, wrong)
      assert.equal(await ask(basic('reader:token-of-reader')), isWithFile ? 200 : 401)
      for (let i = 0; i < 9; i++) assert.equal(await ask(basic(`me:${i}`)), 401)
      assert.equal(await ask(basic('me:more')), 429)
      assert.equal(await ask(basic('me:sécret:x')), 200)
      assert.deepEqual(logins.slice(0, 3), ['me login done', 'me login refused', 'other login refused'])
    } finally {
      await run.stop()
    }
  })

test('a name that stands in both forms, or has a colon, is refused at the start', async () => {
  const { directory, flags, file } = await filesOf('secret')
  const start = (name: string) => runTercet([...flags, `auth.username=${name}`, `auth.file=${file}`], directory)
  await assert.rejects(start('reader'), /auth.username and a user of auth.file have one name, "reader"/)
  await assert.rejects(start('a:b'), /auth.username: a colon ends the name/)
  rmSync(directory, { recursive: true, force: true })
})
