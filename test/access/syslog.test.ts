/**
 * Every listener of syslog with every kind of credential, over real connections: what is stored, and whose it is. What
 * each listener asks for stands in doors.txt, as for all other doors.
 */
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request as httpsRequest } from 'node:https'
import { connect as connectTcp, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { certificateOf, hasOpenssl, makeCertificates } from '../certificates.ts'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { credentialsFile, type Credential } from './access-world.ts'

/** Each has a certificate of its own name; `stranger` and `impostor` are in no file, the latter's authority neither. */
const holders: readonly Credential[] = [
  { name: 'everything', verbs: ['read', 'write', 'rules', 'admin'] },
  { name: 'writer', verbs: ['write'] },
  { name: 'reader', verbs: ['read'] },
  { name: 'ruler', verbs: ['rules', 'admin'] },
  { name: 'metrics', verbs: ['write'], signals: ['metrics', 'traces'] },
  { name: 'logs', verbs: ['write'], signals: ['logs'] },
  { name: 'one-tenant', verbs: ['write'], tenants: ['a'] },
  { name: 'two-tenants', verbs: ['write'], tenants: ['a', 'c'] },
].map(one => ({ ...one, subject: `CN=${one.name}` }))
const strangers = ['stranger', 'impostor', 'nobody']
const reading: Credential = { name: 'looks', verbs: ['read'] }

/** Names that messages have in the field; `-` and `index` name no tenant. */
const named = ['a', 'b', 'c', '-', 'index']
const listenerTenant = 'of-listener'

/** Whose the message is; undefined: it is not stored. Written down from doors.txt and the documentation alone. */
function expected(rule: string, holder: Credential | undefined, name: string, isOpen: boolean): string | undefined {
  const isValid = name !== '-' && name !== 'index'
  if (holder === undefined) return isOpen ? (isValid ? name : listenerTenant) : undefined
  const [verb = '', signal = ''] = rule.split(' ')
  if (!holder.verbs.includes(verb) || holder.signals?.includes(signal) === false) return undefined
  const tenant = isValid ? name : holder.tenants?.length === 1 ? holder.tenants[0]! : listenerTenant
  return holder.tenants?.includes(tenant) === false ? undefined : tenant
}

function ruleOf(listener: string): string {
  const doors = readFileSync(join(import.meta.dirname, 'doors.txt'), 'utf8').split('\n')
  const line = doors.find(one => one.startsWith(`listener ${listener}: `))
  assert.ok(line !== undefined, `${listener} has no line in doors.txt`)
  return line.slice(line.indexOf(': ') + 2)
}

const authorities = temporaryDirectory()
let run: Running
let agent: Agent
after(() => {
  rmSync(authorities, { recursive: true, force: true })
})

async function start(flags: readonly string[]): Promise<Running> {
  const directory = temporaryDirectory()
  const file = join(directory, 'credentials.yaml')
  writeFileSync(file, await credentialsFile([...holders, reading]))
  const tls = [
    `tls.cert_file=${authorities}/server.pem`,
    `tls.key_file=${authorities}/server.key`,
    `tls.client_ca_file=${authorities}/ca.pem`,
    'tls.client_auth=none',
  ]
  const common = ['tenancy=on', 'syslog.tenant_field=hostname', 'listen.syslog_tls=127.0.0.1:0', `auth.file=${file}`]
  try {
    return await runTercet([...tls, ...common, ...flags], directory)
  } catch (error) {
    rmSync(directory, { recursive: true, force: true })
    throw error
  }
}

before(() => {
  if (hasOpenssl.skip !== false) return
  const other = join(authorities, 'other')
  mkdirSync(other)
  makeCertificates(other, ['impostor'], 'IP:127.0.0.1')
  const names = ['server', 'stranger', ...holders.map(({ name }) => name)]
  makeCertificates(authorities, names, 'IP:127.0.0.1')
  for (const kind of ['pem', 'key']) renameSync(`${other}/impostor.${kind}`, `${authorities}/impostor.${kind}`)
  agent = new Agent({ ca: certificateOf(authorities, 'server').ca, keepAlive: false })
})

function get(path: string, tenant: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer token-of-${reading.name}`, 'x-scope-orgid': tenant }
    const asked = httpsRequest(`${run.url}${path}`, { headers, agent }, reply => {
      let text = ''
      reply.setEncoding('utf8').on('data', (part: string) => (text += part))
      reply.once('end', () => {
        assert.equal(reply.statusCode, 200, text)
        resolve(text)
      })
    })
    asked.once('error', reject)
    asked.end()
  })
}

const since = Date.now() - 60_000

/** The lines of a tenant, sorted. */
async function linesOf(tenant: string): Promise<string[]> {
  const query = encodeURIComponent('{app_name="app"}')
  const range = `start=${since}000000&end=${Date.now() + 60_000}000000&limit=5000`
  const body = await get(`/loki/api/v1/query_range?query=${query}&${range}`, tenant)
  const { data } = JSON.parse(body) as { data: { result: { values: [string, string][] }[] } }
  return data.result.flatMap(({ values }) => values.map(([, line]) => line)).toSorted()
}

const messageOf = (who: string, name: string, over: string): string =>
  `<34>1 ${new Date().toISOString()} ${name} app 77 - - ${who} to ${name} over ${over}\n`

/** Resolves when the connection is closed, by whichever side and for whatever reason. */
function sent(socket: Socket, bytes: string): Promise<void> {
  return new Promise(resolve => {
    socket.on('error', () => {})
    socket.once('close', () => {
      resolve()
    })
    socket.resume()
    socket.end(bytes)
  })
}

function portOf(listener: string): number {
  const address = run.tercet.addresses.find(({ name }) => name === listener)?.address ?? ''
  return Number(address.slice(address.lastIndexOf(':') + 1))
}

/** Over TLS, with the certificate of the name. */
function sendTls(who: string, bytes: string): Promise<void> {
  const { ca } = certificateOf(authorities, 'server')
  const { cert, key } = who === 'nobody' ? {} : certificateOf(authorities, who)
  return sent(connectTls({ host: '127.0.0.1', port: portOf('syslog_tls'), ca, cert, key }), bytes)
}

async function untilStopped(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } finally {
    await run.stop()
  }
}

async function requireStored(wanted: ReadonlyMap<string, string[]>): Promise<void> {
  const tenants = [...new Set([...named.slice(0, 3), listenerTenant, 'fake', ...wanted.keys()])].sort()
  for (const tenant of tenants) {
    const lines = (wanted.get(tenant) ?? []).toSorted()
    let found = await linesOf(tenant)
    // What is stored was decided on when its connection was closed, and is gathered for a moment.
    while (found.length < lines.length) {
      await turn()
      found = await linesOf(tenant)
    }
    assert.deepEqual(found, lines, tenant)
  }
}

async function sendAll(isOpen: boolean): Promise<Map<string, string[]>> {
  const wanted = new Map<string, string[]>()
  const rule = ruleOf('syslog_tls')
  for (const who of [...holders.map(({ name }) => name), ...strangers])
    for (const name of named) {
      await sendTls(who, messageOf(who, name, 'tls'))
      const holder = holders.find(one => one.name === who)
      const tenant = expected(rule, holder, name, isOpen)
      if (tenant === undefined) continue
      wanted.set(tenant, [...(wanted.get(tenant) ?? []), `${who} to ${name} over tls`])
    }
  return wanted
}

test('a certificate reaches what it is for, and nothing else; without one nothing is stored', hasOpenssl, async () => {
  for (const clientAuth of ['required', 'optional']) {
    run = await start([
      `tls.client_auth_listeners=syslog_tls=${clientAuth}`,
      `syslog.tenants=syslog_tls=${listenerTenant}`,
    ])
    await untilStopped(async () => requireStored(await sendAll(false)))
  }
})

test('listeners without credentials take all, each for its tenant', hasOpenssl, async () => {
  run = await start([
    'tls.client_auth_listeners=syslog_tls=optional',
    'listen.syslog_tcp=127.0.0.1:0',
    'listen.syslog_udp=127.0.0.1:0',
    'syslog.without_credentials=syslog_tls,syslog_tcp,syslog_udp',
    `syslog.tenants=syslog_tls=${listenerTenant},syslog_tcp=tcp`,
  ])
  await untilStopped(async () => {
    const wanted = await sendAll(true)
    await sendPlain(wanted)
    await requireStored(wanted)
  })
})

/** Over TCP and UDP; syslog.tenants has none for UDP. */
async function sendPlain(wanted: Map<string, string[]>): Promise<void> {
  const udp = createSocket('udp4')
  const add = (tenant: string, line: string): void => {
    wanted.set(tenant, [...(wanted.get(tenant) ?? []), line])
  }
  for (const name of named) {
    const isValid = name !== '-' && name !== 'index'
    await sent(connectTcp(portOf('syslog_tcp'), '127.0.0.1'), messageOf('nobody', name, 'tcp'))
    add(isValid ? name : 'tcp', `nobody to ${name} over tcp`)
    await new Promise(resolve => {
      udp.send(messageOf('nobody', name, 'udp'), portOf('syslog_udp'), '127.0.0.1', resolve)
    })
    if (isValid) add(name, `nobody to ${name} over udp`)
  }
  udp.close()
}

const refusedStarts: readonly [name: string, flags: string[], problem: RegExp][] = [
  ['UDP', ['listen.syslog_udp=127.0.0.1:0'], /listen.syslog_udp: credentials are set up .* syslog.without_credentials/],
  ['TCP', ['listen.syslog_tcp=127.0.0.1:0'], /listen.syslog_tcp: credentials are set up .* syslog.without_credentials/],
  ['TLS without certificates of clients', ['tls.client_auth=none'], /listen.syslog_tls: credentials are set up/],
]
for (const [name, flags, problem] of refusedStarts)
  test(`with credentials, syslog over ${name} that asks nobody does not start unless it is named`, hasOpenssl, () =>
    assert.rejects(
      start([...(flags[0] === 'tls.client_auth=none' ? [] : ['tls.client_auth=required']), ...flags]),
      problem,
    ),
  )

test('without tenancy, a tenant of a listener or a field for it is refused', async () => {
  for (const flag of ['syslog.tenants=syslog_tcp=a', 'syslog.tenant_field=hostname'])
    await assert.rejects(runTercet([flag]), /needs tenancy: on/)
  for (const flag of ['syslog.tenants=syslog_tcp=index', 'syslog.tenants=http=a', 'syslog.without_credentials=http'])
    await assert.rejects(runTercet([flag, 'tenancy=on']), /is reserved|is not one of/)
})
