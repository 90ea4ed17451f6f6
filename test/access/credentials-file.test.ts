/** The file of credentials in a running process: it is read again, and never opens the doors when it is wrong. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { test } from 'node:test'
import { certificateOf, hasOpenssl, makeCertificates } from '../certificates.ts'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { credentialsFile, type Credential } from './access-world.ts'

const first: Credential = { name: 'first', verbs: ['read'] }
const second: Credential = { name: 'second', verbs: ['read', 'admin'] }

async function statusOf(run: Running, { name }: Credential, path = '/api/v1/query?query=1'): Promise<number> {
  const reply = await fetch(`${run.url}${path}`, { headers: { authorization: `Bearer token-of-${name}` } })
  await reply.arrayBuffer()
  return reply.status
}

async function readiness({ url }: Running, credential?: Credential): Promise<string> {
  const headers = credential === undefined ? {} : { authorization: `Bearer token-of-${credential.name}` }
  return (await fetch(`${url}/-/ready`, { headers })).text()
}

test('a file that changes is followed; one that is wrong, empty or gone changes nothing, and is told', async () => {
  const directory = temporaryDirectory()
  const file = join(directory, 'credentials.yaml')
  const good = await credentialsFile([first])
  writeFileSync(file, good)
  const run = await runTercet([`auth.file=${file}`], directory)
  try {
    assert.deepEqual([await statusOf(run, first), await statusOf(run, second)], [200, 401])
    writeFileSync(file, await credentialsFile([second]))
    await run.tercet.reload()
    assert.deepEqual([await statusOf(run, first), await statusOf(run, second)], [401, 200])
    const wrong: [name: string, change: () => void, reason: RegExp][] = [
      ['empty', () => writeFileSync(file, ''), /is empty/],
      ['cut short', () => writeFileSync(file, good.slice(0, 60)), /credentials\.yaml:1/],
      ['of no use', () => writeFileSync(file, 'users: []'), /nobody would get in/],
      ['gone', () => rmSync(file), /no such file/],
      ['a directory', () => mkdirSync(file), /can't be read/],
    ]
    for (const [name, change, reason] of wrong) {
      change()
      await assert.rejects(run.tercet.reload(), reason, name)
      assert.deepEqual([await statusOf(run, first), await statusOf(run, second)], [401, 200], name)
      assert.equal((await fetch(`${run.url}/api/v1/query?query=1`)).status, 401, name)
      assert.match(await readiness(run, second), /warning: a file of credentials is wrong: /, name)
      // Whoever is not in learns that there is something, and not what.
      for (const stranger of [undefined, first])
        assert.match(await readiness(run, stranger), /^Tercet is ready\.\nThere are warnings: ask with credentials/)
    }
    rmSync(file, { recursive: true })
    writeFileSync(file, good)
    await run.tercet.reload()
    assert.deepEqual([await statusOf(run, first), await statusOf(run, second)], [200, 401])
    assert.doesNotMatch(await readiness(run, first), /credentials/)
  } finally {
    await run.stop()
  }
})

test('a process does not start with a file that is not there, or is wrong', async () => {
  const directory = temporaryDirectory()
  const file = join(directory, 'credentials.yaml')
  await assert.rejects(runTercet([`auth.file=${file}`], directory), /no such file/)
  writeFileSync(file, 'tokens: [{ name: a, sha256: short }]')
  await assert.rejects(runTercet([`auth.file=${file}`], directory), /64 hexadecimal digits/)
  rmSync(directory, { recursive: true })
})

test(
  'a client certificate is a credential by its subject, where an authority of the listener has signed it',
  hasOpenssl,
  async () => {
    const directory = temporaryDirectory()
    makeCertificates(directory, ['server', 'shipper', 'nobody'], 'IP:127.0.0.1')
    const file = join(directory, 'credentials.yaml')
    const digest = createHash('sha256').update('t').digest('hex')
    const lines = [
      'certificates:',
      '  - { name: shipper, subject: CN=shipper, verbs: [write], signals: [logs] }',
      'tokens:',
      `  - { name: t, sha256: ${digest} }`,
    ]
    writeFileSync(file, lines.join('\n'))
    const run = await runTercet(
      [
        `auth.file=${file}`,
        `tls.cert_file=${directory}/server.pem`,
        `tls.key_file=${directory}/server.key`,
        `tls.client_ca_file=${directory}/ca.pem`,
        'tls.client_auth=optional',
      ],
      directory,
    )
    try {
      const { ca } = certificateOf(directory, 'server')
      const ask = (method: string, path: string, name: string | undefined, authorization?: string): Promise<number> =>
        new Promise((resolve, reject) => {
          const shown =
            name === undefined
              ? {}
              : { cert: certificateOf(directory, name).cert, key: certificateOf(directory, name).key }
          const headers = {
            'content-type': 'application/json',
            ...(authorization === undefined ? {} : { authorization }),
          }
          const call = request(`${run.url}${path}`, { method, ca, ...shown, headers, agent: false }, reply => {
            reply.resume()
            reply.once('end', () => {
              resolve(reply.statusCode ?? 0)
            })
          })
          call.once('error', reject)
          call.end(method === 'POST' ? '{"streams":[]}' : undefined)
        })
      const push = '/loki/api/v1/push'
      const query = '/loki/api/v1/labels'
      // The right is there; the push is empty.
      assert.equal(await ask('POST', push, 'shipper'), 422)
      assert.equal(await ask('GET', query, 'shipper'), 403)
      assert.equal(await ask('POST', '/v1/traces', 'shipper'), 403)
      assert.equal(await ask('POST', push, 'nobody'), 401)
      assert.equal(await ask('POST', push, undefined), 401)
      assert.equal(await ask('GET', query, 'nobody', 'Bearer t'), 200)
      assert.equal(await ask('GET', query, undefined, 'Bearer t'), 200)
    } finally {
      await run.stop()
    }
  },
)

test('a browser without credentials is sent to the login, where there is one; programs are told 401', async () => {
  const directory = temporaryDirectory()
  const file = join(directory, 'credentials.yaml')
  writeFileSync(file, 'oidc: { issuer: "http://127.0.0.1:1", client_id: tercet, grants: [{ verbs: [read] }] }')
  const run = await runTercet([`auth.file=${file}`], directory)
  try {
    const ask = async (path: string, accept: string): Promise<string> => {
      const reply = await fetch(`${run.url}${path}`, { headers: { accept }, redirect: 'manual' })
      return `${reply.status} ${reply.headers.get('location') ?? ''}`.trim()
    }
    assert.equal(await ask('/ui/logs?q=a&b=c', 'text/html,*/*'), '302 /auth/login?next=%2Fui%2Flogs%3Fq%3Da%26b%3Dc')
    assert.equal(await ask('/api/v1/query?query=up', 'application/json'), '401')
    assert.equal(await ask('/auth/whoami', 'application/json'), '401')
    // The provider is away.
    assert.equal(await ask('/auth/login', 'text/html'), '503')
    assert.equal(await ask('/auth/callback?code=x&state=y', 'text/html'), '400')
  } finally {
    await run.stop()
  }
})
