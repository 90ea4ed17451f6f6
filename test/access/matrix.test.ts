/**
 * Every route, call and socket with every kind of credential. What each asks for stands in doors.txt, a line each,
 * which people read: a new one without its line fails here.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { credentials as grpcCredentials, makeGenericClientConstructor, Metadata } from '@grpc/grpc-js'
import WebSocket from 'ws'
import { accessText, doorText, openAccessWorld, type Credential, type Door } from './access-world.ts'

const all = ['read', 'write', 'rules', 'admin']
const given: readonly Credential[] = [
  { name: 'everything', verbs: all },
  { name: 'user', verbs: all, isUser: true },
  { name: 'reader', verbs: ['read'] },
  { name: 'writer', verbs: ['write'] },
  { name: 'ruler', verbs: ['rules'] },
  { name: 'admin', verbs: ['admin'] },
  { name: 'metrics', verbs: all, signals: ['metrics'] },
  { name: 'logs', verbs: all, signals: ['logs'] },
  { name: 'traces', verbs: all, signals: ['traces'] },
  { name: 'one-tenant', verbs: all, tenants: ['a'] },
  { name: 'bound', verbs: ['read', 'write'], labels: '{team="a"}' },
]

/** Who asks, and for which tenant. */
interface Asker {
  readonly shown: string
  readonly authorization: string | undefined
  readonly credential: Credential | undefined
  readonly tenant: string
}

/** `reached`, or the status that refuses. Written down from doors.txt alone: it does not ask the code. */
function expected(rule: string, { credential, tenant }: Asker): string {
  if (rule === 'open' || rule === 'login') return 'reached'
  if (credential === undefined) return '401'
  if (credential.tenants !== undefined && tenant.split('|').some(one => !credential.tenants!.includes(one)))
    return '403'
  if (rule === 'known') return 'reached'
  const [verb = '', about = ''] = rule.split(' ')
  const { verbs, signals, tenants, labels } = credential
  const isBound = labels !== undefined && verb !== 'write' && !rule.endsWith('within labels')
  const isPart = signals !== undefined || tenants !== undefined || labels !== undefined
  const isOutside = about === 'process' ? isPart : (signals !== undefined && !signals.includes(about)) || isBound
  return verbs.includes(verb) && !isOutside ? 'reached' : '403'
}

const doorsFile = join(import.meta.dirname, 'doors.txt')
const world = await openAccessWorld('all', given)
after(() => world.stop())

test('every door has a line in doors.txt that says what it asks for', () => {
  const now = `${world.doors.map(doorText).sort().join('\n')}\n`
  if (process.env['WRITE_DOORS'] === '1') writeFileSync(doorsFile, now)
  assert.equal(now, readFileSync(doorsFile, 'utf8'), 'run with WRITE_DOORS=1, and read what has changed')
})

const rules = new Map(
  readFileSync(doorsFile, 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => line.split(': ') as [string, string]),
)
const ruleOf = (door: Door): string => {
  const rule = rules.get(doorText(door).split(': ')[0]!)
  assert.ok(rule !== undefined, `${doorText(door)} has no rule`)
  return rule
}

const askers: readonly Asker[] = [
  { shown: 'nobody', authorization: undefined, credential: undefined, tenant: 'a' },
  { shown: 'a wrong token', authorization: 'Bearer token-of-nobody', credential: undefined, tenant: 'a' },
  { shown: 'another scheme', authorization: 'Digest x', credential: undefined, tenant: 'a' },
  ...given.flatMap(credential =>
    ['a', 'b', 'a|b'].map(tenant => ({
      shown: `${credential.name} for ${tenant}`,
      authorization: world.authorizationOf(credential),
      credential,
      tenant,
    })),
  ),
]

function headersOf({ authorization, tenant }: Asker): Record<string, string> {
  return { 'x-scope-orgid': tenant, ...(authorization === undefined ? {} : { authorization }) }
}

const plainPath = (path: string): string => path.replaceAll(/:[a-z]+/gi, 'x').replace('*', 'x')

function overHttp({ method, path }: Door, asker: Asker): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = httpRequest(
      `${world.url}${plainPath(path)}`,
      { method, headers: headersOf(asker), agent: false },
      reply => {
        reply.resume()
        reply.once('end', () => {
          resolve(reply.statusCode === 299 ? 'reached' : String(reply.statusCode))
        })
      },
    )
    asked.once('error', reject)
    asked.end()
  })
}

function overSocket({ path }: Door, asker: Asker): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${world.url.replace('http', 'ws')}${path}`, { headers: headersOf(asker) })
    socket.once('unexpected-response', (_request, reply) => {
      reply.resume()
      resolve(reply.statusCode === 299 ? 'reached' : String(reply.statusCode))
    })
    socket.once('error', reject)
    socket.once('open', () => {
      reject(new Error('the stub refuses all'))
    })
  })
}

const client = new (makeGenericClientConstructor({}, 'any'))(world.grpcAddress, grpcCredentials.createInsecure())
after(() => {
  client.close()
})
const grpcOutcomes = new Map([
  [0, 'reached'],
  [16, '401'],
  [7, '403'],
])

function overGrpc({ path }: Door, asker: Asker): Promise<string> {
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(headersOf(asker))) metadata.set(name, value)
  const asIs = (bytes: Buffer): Buffer => bytes
  return new Promise(resolve => {
    client.makeUnaryRequest(path, asIs, asIs, Buffer.alloc(0), metadata, error => {
      const code = error?.code ?? 0
      resolve(grpcOutcomes.get(code) ?? `code ${code}`)
    })
  })
}

const over = { http: overHttp, socket: overSocket, grpc: overGrpc }
/** Listeners that are neither have no credentials but certificates: syslog.test.ts asks them. */
const asked = world.doors.flatMap(door => (door.kind === 'listener' ? [] : [{ ...door, ask: over[door.kind] }]))

for (const asker of askers)
  test(`${asker.shown} reaches what the credential is for, and nothing else`, async () => {
    const wrong: string[] = []
    for (const door of asked) {
      const outcome = await door.ask(door, asker)
      const wanted = expected(ruleOf(door), asker)
      if (outcome !== wanted) wrong.push(`${doorText(door)}: ${outcome}, not ${wanted}`)
    }
    assert.deepEqual(wrong, [])
  })

test('a path that is not there is told to those alone who are known', async () => {
  const door: Door = { kind: 'http', method: 'GET', path: '/nosuch', access: { kind: 'known' } }
  assert.equal(accessText(door.access), 'known')
  assert.deepEqual([await overHttp(door, askers[0]!), await overHttp(door, askers.at(-1)!)], ['401', '404'])
})
