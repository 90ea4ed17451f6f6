/** All routes, calls and sockets of a process with credentials, whose handlers say only that they were reached. */
import { createHash } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Registry } from '#core/counter.ts'
import { silentLog } from '#core/log.ts'
import type { Access } from '#net/access.ts'
import { loadConfig } from '../../src/app/config.ts'
import { makeContext } from '../../src/app/context.ts'
import type { Part } from '../../src/app/part.ts'
import { roles, type RoleName } from '../../src/app/roles.ts'
import { Servers } from '../../src/app/servers.ts'
import { systemWorld } from '../../src/app/world.ts'
import { hashPassword } from '../../src/auth/password-hash.ts'
import { temporaryDirectory } from '../run-tercet.ts'

/** A credential of the file, with what sends it. */
export interface Credential {
  readonly name: string
  readonly verbs: readonly string[]
  readonly signals?: readonly string[]
  readonly tenants?: readonly string[]
  readonly labels?: string
  /** With a password instead of a token. */
  readonly isUser?: true
  /** With a client certificate of this subject instead. */
  readonly subject?: string
}

/** One thing that can be asked. */
export interface Door {
  /** `listener`: one of a part's own, as syslog, by its name. */
  readonly kind: 'http' | 'socket' | 'grpc' | 'listener'
  /** `GET`, or nothing. */
  readonly method: string
  readonly path: string
  readonly access: Access
}

export interface AccessWorld {
  readonly doors: readonly Door[]
  readonly url: string
  readonly grpcAddress: string
  /** The Authorization header of a credential. */
  authorizationOf(credential: Credential): string
  stop(): Promise<void>
}

const tokenOf = ({ name }: Credential): string => `token-of-${name}`

/** The file of `auth.file` for these. */
export async function credentialsFile(credentials: readonly Credential[]): Promise<string> {
  const users = await Promise.all(
    credentials
      .filter(({ isUser }) => isUser === true)
      .map(async one => ({ ...granted(one), password_hash: await hashPassword(tokenOf(one), new Uint8Array(16)) })),
  )
  const tokens = credentials
    .filter(({ isUser, subject }) => isUser !== true && subject === undefined)
    .map(one => ({ ...granted(one), sha256: createHash('sha256').update(tokenOf(one)).digest('hex') }))
  const certificates = credentials
    .filter(({ subject }) => subject !== undefined)
    .map(({ subject, ...one }) => ({ ...granted(one), subject }))
  // JSON is YAML.
  return JSON.stringify({ users, tokens, certificates })
}

function granted({ isUser: _isUser, ...grant }: Credential): Omit<Credential, 'isUser'> {
  return grant
}

function stubbed(part: Part): Part {
  return {
    ...part,
    routes: part.routes.map(route => ({
      ...route,
      handler: () => Promise.resolve({ status: 299, body: 'reached' }),
    })),
    sockets: part.sockets.map(route => ({ ...route, open: () => ({ status: 299, body: 'reached' }) })),
    grpc: part.grpc.map(method => ({ ...method, handler: () => Promise.resolve(Buffer.from('reached')) })),
  }
}

export async function openAccessWorld(role: RoleName, credentials: readonly Credential[]): Promise<AccessWorld> {
  const directory = temporaryDirectory()
  const file = join(directory, 'credentials.yaml')
  writeFileSync(file, await credentialsFile(credentials))
  const flags = [
    `role=${role}`,
    'listen.http=127.0.0.1:0',
    'listen.otlp_http=off',
    'listen.otlp_grpc=127.0.0.1:0',
    `data_dir=${directory}/data`,
    'workers=0',
    'tenancy=on',
    `auth.file=${file}`,
  ]
  const context = await makeContext(loadConfig({ environment: {}, flags }), systemWorld(silentLog), {})
  const own = {
    registry: new Registry(),
    notReady: () => undefined,
    warnings: () => [],
    states: () => [],
    reload: () => Promise.resolve(),
  }
  const { parts } = await roles[role](context, own)
  const servers = new Servers(
    context,
    parts.map(stubbed),
    () => undefined,
    () => {},
  )
  await servers.open()
  const grpcAddress = servers.addresses.find(({ name }) => name === 'otlp_grpc')?.address ?? ''
  return {
    doors: parts.flatMap(doorsOf),
    url: servers.url,
    grpcAddress,
    authorizationOf: credential =>
      credential.isUser === true
        ? `Basic ${Buffer.from(`${credential.name}:${tokenOf(credential)}`).toString('base64')}`
        : `Bearer ${tokenOf(credential)}`,
    stop: async () => {
      await servers.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function doorsOf({ routes, sockets, grpc, listeners }: Part): Door[] {
  return [
    ...routes.flatMap(({ methods, path, access }) =>
      methods.map((method): Door => ({ kind: 'http', method, path, access })),
    ),
    ...sockets.map(({ path, access }): Door => ({ kind: 'socket', method: '', path, access })),
    ...grpc.map(({ service, method, access }): Door => ({
      kind: 'grpc',
      method: '',
      path: `/${service}/${method}`,
      access,
    })),
    ...listeners.map(({ name, access }): Door => ({ kind: 'listener', method: '', path: name, access })),
  ]
}

/** `read metrics within labels`, `admin process`, `known`, `open`. */
export function accessText(access: Access): string {
  switch (access.kind) {
    case 'open':
    case 'login':
    case 'known':
      return access.kind
    case 'process':
      return `${access.verb} process`
    case 'signal':
      return `${access.verb} ${access.signal}${access.keepsLabels && access.verb === 'read' ? ' within labels' : ''}`
  }
}

export function doorText({ kind, method, path, access }: Door): string {
  return `${[kind === 'http' ? method : kind, path].join(' ')}: ${accessText(access)}`
}
