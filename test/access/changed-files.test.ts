/** Files of credentials that change while the process runs: one that is wrong opens no door. */
import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import WebSocket from 'ws'
import { runTercet, temporaryDirectory } from '../run-tercet.ts'
import { untilTrue } from '../until.ts'
import { credentialsFile, type Credential } from './access-world.ts'

const admin: Credential = { name: 'admin', verbs: ['read', 'admin'] }
const other: Credential = { name: 'other', verbs: ['read', 'admin'] }
const whole = await credentialsFile([admin])

/** By setting: what the file holds, who gets in by it, and the flags beside it. */
const files: Record<string, { text: string; authorization: string; next: string; flags: string[] }> = {
  'auth.file': { text: whole, authorization: 'Bearer token-of-admin', next: await credentialsFile([other]), flags: [] },
  'auth.bearer_token_file': { text: 'secret\n', authorization: 'Bearer secret', next: 'changed', flags: [] },
  'auth.password_file': {
    text: 'secret\n',
    authorization: `Basic ${Buffer.from('admin:secret').toString('base64')}`,
    next: 'changed',
    flags: ['auth.username=admin'],
  },
}

for (const [setting, { text, authorization, next, flags }] of Object.entries(files))
  test(`${setting}: what is emptied, gone, half-written or no file leaves what was read before`, async () => {
    const directory = temporaryDirectory()
    const file = join(directory, 'file')
    writeFileSync(file, text)
    const run = await runTercet([`${setting}=${file}`, ...flags], directory)
    const ask = async (sent: Record<string, string>): Promise<number> =>
      (await fetch(`${run.url}/api/v1/labels`, { headers: sent })).status
    const ready = async (): Promise<string> =>
      (await fetch(`${run.url}/-/ready`, { headers: { authorization } })).text()
    try {
      const states: (() => void)[] = [
        () => {
          writeFileSync(file, '')
        },
        () => {
          writeFileSync(file, ' \n')
        },
        () => {
          rmSync(file)
        },
        () => {
          mkdirSync(file)
        },
        ...(setting === 'auth.file' ? [whole.slice(0, whole.length / 2), '{}', 'null', '{users: []}'] : []).map(
          broken => () => {
            writeFileSync(file, broken)
          },
        ),
      ]
      for (const [i, make] of states.entries()) {
        rmSync(file, { recursive: true, force: true })
        if (i === 2) writeFileSync(file, text)
        make()
        await assert.rejects(run.tercet.reload(), String(i))
        assert.deepEqual([await ask({}), await ask({ authorization })], [401, 200], `state ${i}`)
        assert.match(await ready(), /a file of credentials is wrong/)
      }
      rmSync(file, { recursive: true, force: true })
      writeFileSync(file, next)
      await run.tercet.reload()
      assert.deepEqual([await ask({}), await ask({ authorization })], [401, 401])
      assert.doesNotMatch(await ready(), /a file of credentials is wrong/)
    } finally {
      await run.stop()
    }
  })

test('a process does not start with a file of credentials that is empty', async () => {
  const directory = temporaryDirectory()
  const file = join(directory, 'file')
  writeFileSync(file, '\n')
  for (const setting of ['auth.file', 'auth.bearer_token_file', 'auth.session_key_file'])
    await assert.rejects(runTercet([`${setting}=${file}`], directory), /file is empty/)
  rmSync(directory, { recursive: true, force: true })
})

/** Answers that go on; each is `open` until it ends. */
async function openLasting(url: string, { name }: Credential, signal: AbortSignal): Promise<() => string[]> {
  const authorization = `Bearer token-of-${name}`
  const states: string[] = []
  for (const path of ['/select/logsql/tail?query=*', '/api/v1/notifications/live']) {
    const i = states.push('open') - 1
    const reply = await fetch(`${url}${path}`, { headers: { authorization }, signal })
    assert.equal(reply.status, 200)
    const end = (): void => {
      states[i] = 'ended'
    }
    void (async () => {
      for await (const _piece of reply.body!);
    })().then(end, end)
  }
  const i = states.push('open') - 1
  const query = encodeURIComponent('{app="x"}')
  const socket = new WebSocket(`${url.replace('http', 'ws')}/loki/api/v1/tail?query=${query}`, {
    headers: { authorization },
  })
  signal.addEventListener('abort', () => {
    socket.terminate()
  })
  socket.once('close', code => (states[i] = String(code)))
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
  return () => states
}

test('tails and events end whose credential is taken back or grants something else, and no others', async () => {
  const directory = temporaryDirectory()
  const file = join(directory, 'file')
  const third: Credential = { name: 'third', verbs: ['read'] }
  writeFileSync(file, await credentialsFile([admin, other, third]))
  const run = await runTercet([`auth.file=${file}`], directory)
  const gone = new AbortController()
  try {
    const open = (credential: Credential) => openLasting(run.url, credential, gone.signal)
    const [ofAdmin, ofOther, ofThird] = [await open(admin), await open(other), await open(third)]
    writeFileSync(file, '')
    await assert.rejects(run.tercet.reload())
    // `other` is gone, `third` is bound to labels from now on.
    writeFileSync(file, await credentialsFile([admin, { ...third, labels: '{team="a"}' }]))
    await run.tercet.reload()
    for (const states of [ofOther, ofThird])
      await untilTrue(() => states().join(' ') === 'ended ended 1008', 'the end of what goes on')
    assert.deepEqual(ofAdmin(), ['open', 'open', 'open'])
  } finally {
    gone.abort()
    await run.stop()
  }
})
